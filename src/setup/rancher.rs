//! k3s and RKE2, which start a kubelet themselves: its arguments stand in their own configuration.

use crate::config::yaml::{self, Node};
use crate::kubelet::flags::{BIN_DIR, CONFIG, Flags};
use crate::setup::tree::Tree;
use crate::setup::undo::own_name;

/// The services of k3s and RKE2, which run a kubelet of their own.
pub const SERVICES: [(&str, &str); 4] =
    [("k3s", "k3s"), ("k3s", "k3s-agent"), ("rke2", "rke2-server"), ("rke2", "rke2-agent")];

/// What they use for credential providers if both are there.
const CONFIG_FILE: &str = "/var/lib/rancher/credentialprovider/config.yaml";
const FOLDER: &str = "/var/lib/rancher/credentialprovider/bin";

/// The file that is ours among those of the product.
#[must_use]
pub fn file(product: &str) -> String {
    format!("/etc/rancher/{product}/config.yaml.d/{}", own_name("yaml"))
}

/// Our file's text: the plus sign adds to what other files say.
#[must_use]
pub fn text(wanted: &[String]) -> String {
    let lines = wanted.iter().map(|flag| format!("  - {}\n", flag.trim_start_matches('-')));
    format!("kubelet-arg+:\n{}", lines.collect::<String>())
}

/// The kubelet's arguments as the product puts them together, as far as its files and its command line
/// say.
///
/// # Errors
///
/// A file that is there and cannot be read, in words.
pub fn arguments(tree: &Tree, product: &str, command: &[String]) -> Result<Vec<String>, String> {
    let named = Flags::of(command.to_vec());
    let named = ["--config", "-c"].iter().find_map(|flag| named.value(flag));
    let main = named.unwrap_or_else(|| format!("/etc/rancher/{product}/config.yaml"));
    let drop_ins = tree.names(&format!("{main}.d"));
    let drop_ins = drop_ins
        .iter()
        .filter(|name| [".yaml", ".yml"].iter().any(|ending| name.strip_suffix(ending).is_some()));
    let files =
        std::iter::once(main.clone()).chain(drop_ins.map(|name| format!("{main}.d/{name}")));
    let mut arguments: Vec<String> = Vec::new();
    let mut own: Vec<String> = Vec::new();
    for file in files {
        let read = tree.text(&file).map_err(|error| format!("{file}: {error}"))?;
        let document = yaml::parse(&read.unwrap_or_default());
        let document = document.map_err(|_| format!("{file} is not YAML"))?;
        let Some(document) = document else { continue };
        for (key, value) in document.pairs() {
            let texts = || texts(value).into_iter();
            match key.name.as_str() {
                "kubelet-arg" => arguments = texts().collect(),
                "kubelet-arg+" => arguments.extend(texts()),
                name if [CONFIG, BIN_DIR]
                    .iter()
                    .any(|flag| flag.trim_start_matches('-') == name) =>
                {
                    own.extend(texts().map(|text| format!("--{name}={text}")));
                }
                _ => {}
            }
        }
    }
    let mut words = command.iter();
    while let Some(word) = words.next() {
        match word.strip_prefix("--kubelet-arg") {
            Some("") => arguments.extend(words.next().cloned()),
            Some(rest) => arguments.extend(rest.strip_prefix('=').map(str::to_owned)),
            None if word.starts_with(CONFIG) || word.starts_with(BIN_DIR) => own.push(word.clone()),
            None => {}
        }
    }
    if own.is_empty() && tree.exists(CONFIG_FILE) && tree.exists(FOLDER) {
        own = vec![format!("{CONFIG}={CONFIG_FILE}"), format!("{BIN_DIR}={FOLDER}")];
    }
    let program = command.first().cloned().unwrap_or_default();
    let dashed = arguments.into_iter().map(|text| format!("--{}", text.trim_start_matches('-')));
    Ok(std::iter::once(program).chain(own).chain(dashed).collect())
}

/// A list of texts, or one alone.
fn texts(node: &Node) -> Vec<String> {
    let one = node.scalar().into_iter();
    let items = node.items().iter().filter_map(Node::scalar);
    one.chain(items).map(|scalar| scalar.text.clone()).collect()
}
