//! What a kubelet keeps of who pulled which image, and when it looks at that.
//!
//! Source: `ImagePulledRecord` and `ImagePullIntent` of the group `kubelet.config.k8s.io`, and the
//! kubelet's pull manager with its policies. A kubelet reads a record strictly, and asks for a login
//! where it cannot read one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind};
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::config::yaml::{self, Node};
use crate::kubelet::flags::OWN_CONFIG;
use crate::kubelet::process::{Kubelet, Unread};
use crate::kubelet::versions::CONFIG_GROUP;

/// How the name of each record begins, and what one ends in that is being written.
const RECORD: &str = "sha256-";
const UNFINISHED: &str = ".tmp";

const ROOT_DIR: &str = "--root-dir";
const DEFAULT_ROOT_DIR: &str = "/var/lib/kubelet";

/// The records of a node.
pub struct PullRecords {
    /// As the kubelet calls it.
    pub folder: String,
    pub pulled: Vec<Pulled>,
    /// Files that are not a record.
    pub unreadable: Vec<String>,
    /// Pulls that have begun and not ended, by the names of their files.
    pub under_way: Vec<String>,
}

/// An image that is recorded, and who has pulled it by which name.
pub struct Pulled {
    /// Its record, as the kubelet calls it.
    pub file: String,
    /// What the container runtime calls it.
    pub image_ref: String,
    /// By the image's name without tag and digest.
    pub credentials: BTreeMap<String, Credentials>,
}

/// Whose credentials have pulled an image.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Credentials {
    node_pods_accessible: Option<bool>,
    kubernetes_service_accounts: Option<Vec<Named>>,
    kubernetes_secrets: Option<Vec<Named>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    kind: String,
    api_version: String,
    image_ref: String,
    #[serde(default)]
    credential_mapping: Option<BTreeMap<String, Option<Credentials>>>,
}

/// `imagePullCredentialsVerificationPolicy`: whose credentials the kubelet wants for an image that is on
/// the node.
pub enum Policy {
    NeverVerify,
    NeverVerifyPreloadedImages,
    /// With `preloadedImagesVerificationAllowlist`.
    NeverVerifyAllowlistedImages(Vec<String>),
    AlwaysVerify,
    /// One that is not known here.
    Other(String),
}

impl PullRecords {
    /// None where the kubelet keeps none.
    ///
    /// # Errors
    ///
    /// When its folder cannot be read.
    pub fn read(kubelet: &Kubelet) -> io::Result<Option<Self>> {
        let root = kubelet.flags.value(ROOT_DIR).unwrap_or_else(|| DEFAULT_ROOT_DIR.to_owned());
        let folder = format!("{}/image_manager", root.trim_end_matches('/'));
        let (pulled, pulling) = (format!("{folder}/pulled"), format!("{folder}/pulling"));
        let Some(names) = names(&kubelet.path(&pulled))? else { return Ok(None) };
        let under_way = self::names(&kubelet.path(&pulling))?.unwrap_or_default();
        let mut records = Self { folder, pulled: Vec::new(), unreadable: Vec::new(), under_way };
        for file in names.into_iter().map(|name| format!("{pulled}/{name}")) {
            match kubelet.read(&file) {
                Ok(text) => match Pulled::parse(&file, &text) {
                    Some(image) => records.pulled.push(image),
                    None => records.unreadable.push(file),
                },
                // The kubelet has removed it meanwhile.
                Err(_) if !kubelet.path(&file).exists() => {}
                Err(_) => records.unreadable.push(file),
            }
        }
        Ok(Some(records))
    }

    /// Whether the kubelet takes an image for one that it has pulled: it has a record of it, even one
    /// that cannot be read, or of a pull under way.
    #[must_use]
    pub fn has(&self, image_ref: &str, names: &[String]) -> bool {
        let file = format!("{}/pulled/{}", self.folder, file_name(image_ref));
        self.pulled.iter().any(|pulled| pulled.file == file)
            || self.unreadable.contains(&file)
            || names.iter().any(|name| self.under_way.contains(&file_name(name)))
    }
}

/// What the kubelet calls the file for an image.
fn file_name(image: &str) -> String {
    let digest = Sha256::digest(image);
    digest.iter().fold(RECORD.to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

/// The names of the files in a folder, sorted. `None` if the folder does not exist.
fn names(folder: &Path) -> io::Result<Option<Vec<String>>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let entries: io::Result<Vec<DirEntry>> = entries.collect();
    let is_folder = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let files = entries?.into_iter().filter(|entry| !is_folder(entry));
    let names = files.map(|entry| entry.file_name().to_string_lossy().into_owned());
    // What the kubelet writes has another ending until it is whole; other files it does not read.
    let is_record =
        |name: &String| name.starts_with(RECORD) && !name.ends_with(UNFINISHED) && is_plain(name);
    let mut names: Vec<String> = names.filter(is_record).collect();
    names.sort();
    Ok(Some(names))
}

impl Pulled {
    fn parse(file: &str, text: &str) -> Option<Self> {
        let Record { kind, api_version, image_ref, credential_mapping } =
            serde_json::from_str(text).ok()?;
        let is_record = kind == "ImagePulledRecord" && api_version.starts_with(CONFIG_GROUP);
        let credentials = credential_mapping.unwrap_or_default();
        let credentials =
            credentials.into_iter().map(|(name, by)| (name, by.unwrap_or_default())).collect();
        let is_read = is_record && is_plain(&image_ref);
        is_read.then(|| Self { file: file.to_owned(), image_ref, credentials })
    }

    /// Whether the kubelet finds the record when it asks for the image.
    #[must_use]
    pub fn is_found(&self) -> bool {
        self.file.rsplit('/').next().is_some_and(|name| name == file_name(&self.image_ref))
    }

    /// The text of the record without what these names were pulled with, so that the next start by
    /// one of them needs a login.
    #[must_use]
    pub fn without(text: &str, names: &BTreeSet<String>) -> Option<String> {
        let mut record: serde_json::Value = serde_json::from_str(text).ok()?;
        let mapping = record.get_mut("credentialMapping")?.as_object_mut()?;
        mapping.retain(|name, _| !names.contains(name));
        Some(record.to_string())
    }
}

/// What a shell takes as one word.
pub(super) fn is_plain(word: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@+".contains(&b);
    !word.is_empty() && !word.starts_with(['-', '.']) && word.bytes().all(is_plain)
}

impl Credentials {
    /// Those of the node: every pod may start the image.
    #[must_use]
    pub fn are_nodes(&self) -> bool {
        self.node_pods_accessible.unwrap_or_default()
    }

    /// The service accounts and pull secrets, each with its namespace.
    #[must_use]
    pub fn owners(&self) -> Vec<String> {
        let named = |kind: &str, all: &Option<Vec<Named>>| -> Vec<String> {
            let all = all.iter().flatten();
            all.map(|Named { namespace, name }| format!("{kind}{namespace}/{name}")).collect()
        };
        let accounts = named("", &self.kubernetes_service_accounts);
        [accounts, named("secret ", &self.kubernetes_secrets)].concat()
    }
}

impl Policy {
    /// Whether an image without a record starts without a login; `name` has neither tag nor digest.
    #[must_use]
    pub fn opens_unrecorded(&self, name: &str) -> bool {
        match self {
            Self::NeverVerify | Self::NeverVerifyPreloadedImages => true,
            Self::NeverVerifyAllowlistedImages(list) => {
                list.iter().any(|pattern| match pattern.strip_suffix('*') {
                    Some(begin) => name.starts_with(begin),
                    None => name == pattern,
                })
            }
            Self::AlwaysVerify | Self::Other(_) => false,
        }
    }

    /// Of the kubelet's own configuration file.
    ///
    /// # Errors
    ///
    /// When that file cannot be read.
    pub fn of(kubelet: &Kubelet) -> Result<Self, Unread> {
        let file = kubelet.flags.value(OWN_CONFIG).map(|path| kubelet.read(&path)).transpose()?;
        let document = file.and_then(|text| yaml::parse(&text).ok().flatten());
        let key = |name| document.as_ref().and_then(|document| document.get(name));
        let policy = key("imagePullCredentialsVerificationPolicy").map(Node::as_text);
        Ok(match policy.as_deref().unwrap_or_default() {
            "" | "NeverVerifyPreloadedImages" => Self::NeverVerifyPreloadedImages,
            "NeverVerify" => Self::NeverVerify,
            "NeverVerifyAllowlistedImages" => {
                let list = key("preloadedImagesVerificationAllowlist");
                let list = list.map(Node::items).unwrap_or_default();
                Self::NeverVerifyAllowlistedImages(list.iter().map(Node::as_text).collect())
            }
            "AlwaysVerify" => Self::AlwaysVerify,
            other => Self::Other(other.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_by_the_digest_of_its_image() {
        let image = "sha256:0a";
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(file_name(""), format!("sha256-{of_nothing}"));
        let file = format!("/k/pulled/{}", file_name(image));
        let of = |file: &str| Pulled {
            file: file.to_owned(),
            image_ref: image.to_owned(),
            credentials: BTreeMap::new(),
        };
        assert!(of(&file).is_found() && !of("/k/pulled/sha256-0a").is_found());
    }

    #[test]
    fn a_record_loses_some_names_and_keeps_all_else() {
        let text = r#"{"kind":"ImagePulledRecord","credentialMapping":{"a":{"nodePodsAccessible":true},"b":{"x":1}}}"#;
        let names = BTreeSet::from(["a".to_owned()]);
        let left = r#"{"kind":"ImagePulledRecord","credentialMapping":{"b":{"x":1}}}"#;
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parse(&Pulled::without(text, &names).unwrap()), parse(left));
    }

    #[test]
    fn a_record_says_whose_credentials_pulled_the_image() {
        let text = r#"{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1alpha1",
            "lastUpdatedTime":"2026-11-30T08:00:00Z","imageRef":"sha256:0a","credentialMapping":{
            "r.example.com/a":{"nodePodsAccessible":true},
            "r.example.com/b":{"kubernetesServiceAccounts":[{"uid":"1","namespace":"team-a","name":"app"}],
              "kubernetesSecrets":[{"uid":"2","namespace":"team-b","name":"s","credentialHash":"h"}]}}}"#;
        let pulled = Pulled::parse("/f", text).unwrap();
        assert_eq!(pulled.image_ref, "sha256:0a");
        let of = |image: &str| {
            let found = &pulled.credentials[image];
            (found.are_nodes(), found.owners().join(", "))
        };
        assert_eq!(of("r.example.com/a"), (true, String::new()));
        assert_eq!(of("r.example.com/b"), (false, "team-a/app, secret team-b/s".to_owned()));
        let of = |kind: &str, version: &str, image: &str| {
            let text =
                format!(r#"{{"kind":"{kind}","apiVersion":"{version}","imageRef":"{image}"}}"#);
            Pulled::parse("/f", &text)
        };
        let (kind, version) = ("ImagePulledRecord", "kubelet.config.k8s.io/v1beta1");
        assert!(of(kind, version, "sha256:0a").unwrap().credentials.is_empty());
        for image in ["", "a; rm b", "-a"] {
            assert!(of(kind, version, image).is_none(), "{image}");
        }
        assert!(of("ImagePullIntent", version, "sha256:0a").is_none());
        assert!(of(kind, "kubelet.config.example.com/v1", "sha256:0a").is_none());
        // As the kubelet's own reader takes them.
        let nothing = r#"{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1alpha1","imageRef":"a",
            "credentialMapping":{"r/a":null,"r/b":{"nodePodsAccessible":null,"kubernetesSecrets":null}}}"#;
        let nothing = Pulled::parse("/f", nothing).unwrap();
        assert_eq!(nothing.credentials.len(), 2);
        assert!(nothing.credentials.values().all(|by| !by.are_nodes() && by.owners().is_empty()));
        assert!(["", "{}", "[]"].iter().all(|wrong| Pulled::parse("/f", wrong).is_none()));
    }
}
