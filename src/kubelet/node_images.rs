//! The images that a node's container runtime has: asked for, and removed, by the runtime's own tools.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde::Deserialize;

use crate::config::yaml::Node;
use crate::kubelet::process::Kubelet;
use crate::kubelet::pull_records::is_plain;

/// Where the runtime listens: by a flag of the kubelet, or a key of its own configuration.
const ENDPOINTS: [(&str, &str); 2] = [
    ("--image-service-endpoint", "imageServiceEndpoint"),
    ("--container-runtime-endpoint", "containerRuntimeEndpoint"),
];
const DEFAULT_ENDPOINT: &str = "unix:///run/containerd/containerd.sock";

/// A runtime that can be asked.
#[derive(Clone)]
pub struct Runtime {
    tool: Tool,
    socket: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    Crictl,
    Ctr,
}

/// An image as the runtime has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// What the kubelet's records call it.
    pub id: String,
    /// With tag or digest.
    pub names: Vec<String>,
}

/// Why the images are not known.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    #[error("neither crictl nor ctr is on this machine")]
    NoTool,
    #[error("the container runtime does not listen at {0}")]
    NoSocket(String),
    #[error("{0}")]
    Failed(String),
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    images: Vec<ListedImage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedImage {
    id: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    repo_digests: Option<Vec<String>>,
}

impl Runtime {
    /// The runtime of a kubelet, and what it has.
    ///
    /// # Errors
    ///
    /// See [`Unknown`].
    pub fn images(kubelet: &Kubelet) -> Result<(Self, Vec<Image>), Unknown> {
        let path = socket(kubelet);
        let socket = kubelet.path(&path);
        if !socket.exists() {
            return Err(Unknown::NoSocket(path));
        }
        for tool in [Tool::Crictl, Tool::Ctr] {
            let runtime = Self { tool, socket: socket.clone() };
            match runtime.list() {
                Ok(images) => return Ok((runtime, images)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(Unknown::Failed(error.to_string())),
            }
        }
        Err(Unknown::NoTool)
    }

    /// What it has now.
    ///
    /// # Errors
    ///
    /// What the tool says; [`ErrorKind::NotFound`] if it is not installed.
    pub fn list(&self) -> io::Result<Vec<Image>> {
        match self.tool {
            Tool::Crictl => {
                let text = self.run(&["images", "-o", "json"])?;
                of_crictl(&text).ok_or_else(|| io::Error::other("crictl writes no list of images"))
            }
            Tool::Ctr => Ok(of_ctr(&self.run(&["images", "ls"])?)),
        }
    }

    /// Removes an image with all of its names.
    ///
    /// # Errors
    ///
    /// What the tool says.
    pub fn remove(&self, image: &Image) -> io::Result<()> {
        let words: Vec<&str> = self.removal(image).collect();
        self.run(&words).map(drop)
    }

    /// Whether the id of an image is enough to remove it.
    #[must_use]
    pub fn removes_by_id(&self) -> bool {
        self.tool == Tool::Crictl
    }

    /// The command that removes an image, for a person.
    #[must_use]
    pub fn command(&self, image: &Image) -> String {
        let before: &[&str] = match self.tool {
            Tool::Crictl => &["crictl"],
            Tool::Ctr => &["ctr", "-n", "k8s.io"],
        };
        let words: Vec<&str> = before.iter().copied().chain(self.removal(image)).collect();
        words.join(" ")
    }

    fn removal<'w>(&self, image: &'w Image) -> impl Iterator<Item = &'w str> + use<'w> {
        let (verb, what): (&[&str], Vec<&str>) = match self.tool {
            Tool::Crictl => (&["rmi"], vec![&image.id]),
            Tool::Ctr => {
                let names = image.names.iter().chain([&image.id]);
                (&["images", "rm"], names.map(String::as_str).collect())
            }
        };
        verb.iter().copied().chain(what)
    }

    fn run(&self, words: &[&str]) -> io::Result<String> {
        let mut command = Command::new(self.tool.name());
        match self.tool {
            Tool::Crictl => {
                let endpoint = format!("unix://{}", self.socket.display());
                command.args(["--timeout", "30s", "--runtime-endpoint", &endpoint]);
                command.args(["--image-endpoint", &endpoint]);
            }
            Tool::Ctr => {
                command.args(["--timeout", "30s", "-n", "k8s.io", "--address"]).arg(&self.socket);
            }
        }
        let Output { status, stdout, stderr } =
            command.args(words).stdin(Stdio::null()).output()?;
        if status.success() {
            return Ok(String::from_utf8_lossy(&stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&stderr);
        let line = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        let said: String = line.chars().filter(|c| !c.is_control()).take(300).collect();
        let words = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        Err(io::Error::other(format!("{} {words}: {said}", self.tool.name())))
    }
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Crictl => "crictl",
            Self::Ctr => "ctr",
        }
    }
}

/// Where the runtime listens, as the kubelet calls it.
fn socket(kubelet: &Kubelet) -> String {
    let documents = kubelet.own_configuration().unwrap_or_default();
    let configured =
        |key| documents.iter().rev().find_map(|document| document.get(key)).map(Node::as_text);
    let given = ENDPOINTS.into_iter().find_map(|(flag, key)| {
        let value = kubelet.flags.value(flag).or_else(|| configured(key));
        value.filter(|value| !value.is_empty())
    });
    let endpoint = given.unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
    endpoint.strip_prefix("unix://").unwrap_or(&endpoint).to_owned()
}

fn of_crictl(text: &str) -> Option<Vec<Image>> {
    let Listed { images } = serde_json::from_str(text).ok()?;
    let image = |ListedImage { id, repo_tags, repo_digests }| {
        let names = [repo_tags, repo_digests].into_iter().flatten().flatten();
        let names = names.filter(|name| is_plain(name)).collect();
        is_plain(&id).then_some(Image { id, names })
    };
    Some(images.into_iter().filter_map(image).collect())
}

/// One line for each name. Names with the same digest are one image, and one of them is its id.
fn of_ctr(text: &str) -> Vec<Image> {
    let mut by_digest: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let mut columns = line.split_whitespace();
        if let (Some(name), Some(digest)) = (columns.next(), columns.nth(1))
            && is_plain(name)
            && is_plain(digest)
        {
            by_digest.entry(digest).or_default().push(name);
        }
    }
    let is_id = |name: &&&str| !name.contains('/') && name.starts_with("sha256:");
    let image = |(digest, names): (&str, Vec<&str>)| {
        let id = names.iter().find(is_id).copied().unwrap_or(digest);
        let names = names.iter().filter(|name| **name != id).map(|name| (*name).to_owned());
        Image { id: id.to_owned(), names: names.collect() }
    };
    by_digest.into_iter().map(image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tools_list_the_same_images() {
        let image = |id: &str, names: &[&str]| Image {
            id: id.to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let crictl = r#"{"images":[{"id":"sha256:0a","repoTags":["r.example.com/a:v1"],
            "repoDigests":["r.example.com/a@sha256:d1"],"size":"1","spec":null},
            {"id":"sha256:0b","repoTags":[],"repoDigests":null}]}"#;
        assert_eq!(
            of_crictl(crictl).unwrap(),
            [
                image("sha256:0a", &["r.example.com/a:v1", "r.example.com/a@sha256:d1"]),
                image("sha256:0b", &[])
            ]
        );
        let ctr = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n\
            r.example.com/a:v1        application/vnd.oci.image.index.v1+json sha256:d1 2.1 MiB linux/amd64 -\n\
            r.example.com/a@sha256:d1 application/vnd.oci.image.index.v1+json sha256:d1 2.1 MiB linux/amd64 -\n\
            sha256:0a                 application/vnd.oci.image.index.v1+json sha256:d1 2.1 MiB linux/amd64 -\n";
        assert_eq!(
            of_ctr(ctr),
            [image("sha256:0a", &["r.example.com/a:v1", "r.example.com/a@sha256:d1"])]
        );
        assert!(of_crictl("not a list").is_none());
    }

    #[test]
    fn an_image_goes_with_all_of_its_names() {
        let image =
            Image { id: "sha256:0a".to_owned(), names: vec!["r.example.com/a:v1".to_owned()] };
        let command = |tool| Runtime { tool, socket: PathBuf::new() }.command(&image);
        assert_eq!(command(Tool::Crictl), "crictl rmi sha256:0a");
        assert_eq!(command(Tool::Ctr), "ctr -n k8s.io images rm r.example.com/a:v1 sha256:0a");
    }
}
