//! What a kubelet keeps of who pulled which image, and when it looks at that.
//!
//! Source: `ImagePulledRecord` of the group `kubelet.config.k8s.io`, and the kubelet's pull manager with
//! its policies.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde::Deserialize;

use crate::config::yaml::{self, Node};
use crate::kubelet::flags::OWN_CONFIG;
use crate::kubelet::process::{Kubelet, Unread};

const ROOT_DIR: &str = "--root-dir";
const DEFAULT_ROOT_DIR: &str = "/var/lib/kubelet";

/// The records of a node.
pub struct PullRecords {
    /// As the kubelet calls it.
    pub folder: String,
    pub pulled: Vec<Pulled>,
    /// Files that are not a record.
    pub unreadable: Vec<String>,
    /// Pulls that have begun and not ended.
    pub under_way: usize,
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
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// Those of the node: every pod may start the image.
    #[serde(default)]
    pub node_pods_accessible: bool,
    #[serde(default)]
    kubernetes_service_accounts: Option<Vec<Named>>,
    #[serde(default)]
    kubernetes_secrets: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    image_ref: String,
    #[serde(default)]
    credential_mapping: Option<BTreeMap<String, Credentials>>,
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
        let under_way = self::names(&kubelet.path(&pulling))?.map_or(0, |names| names.len());
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
}

/// The names of the files in a folder, sorted. `None` if the folder does not exist.
fn names(folder: &Path) -> io::Result<Option<Vec<String>>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let names: io::Result<Vec<String>> =
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect();
    // What the kubelet writes has another name until it is whole.
    let mut names: Vec<String> = names?.into_iter().filter(|name| is_plain(name)).collect();
    names.sort();
    Ok(Some(names))
}

impl Pulled {
    fn parse(file: &str, text: &str) -> Option<Self> {
        let Record { image_ref, credential_mapping } = serde_json::from_str(text).ok()?;
        let credentials = credential_mapping.unwrap_or_default();
        is_plain(&image_ref).then(|| Self { file: file.to_owned(), image_ref, credentials })
    }
}

/// What a shell takes as one word.
fn is_plain(word: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@+".contains(&b);
    !word.starts_with(['-', '.']) && word.bytes().all(is_plain)
}

impl Credentials {
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
            (found.node_pods_accessible, found.owners().join(", "))
        };
        assert_eq!(of("r.example.com/a"), (true, String::new()));
        assert_eq!(of("r.example.com/b"), (false, "team-a/app, secret team-b/s".to_owned()));
        assert!(Pulled::parse("/f", r#"{"imageRef":"sha256:0a"}"#).unwrap().credentials.is_empty());
        for wrong in ["", "{}", "[]", r#"{"imageRef":"a; rm b"}"#, r#"{"imageRef":"-a"}"#] {
            assert!(Pulled::parse("/f", wrong).is_none(), "{wrong}");
        }
    }
}
