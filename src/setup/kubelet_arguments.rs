//! Where the arguments of a node's kubelet come from, and where more of them go: each kind of node
//! by the way that its owner documents.

use std::io;

use crate::failure::{Exit, Failure};
use crate::kubelet::flags::{BIN_DIR, CONFIG};
use crate::setup::arguments_text::Edit;
use crate::setup::env_file::{self, Comments};
use crate::setup::rancher;
use crate::setup::snap;
use crate::setup::systemd::Systemd;
use crate::setup::tree::Tree;
use crate::setup::undo::own_name;
use crate::setup::unit::{self, Setting, Unit};

/// Variables that are there for the arguments of who owns the node, the most particular first: of
/// ACK, of kubeadm and EKS, of AKS, of kOps.
const VARIABLES: [&str; 4] =
    ["KUBELET_CUSTOMIZED_ARGS", "KUBELET_EXTRA_ARGS", "KUBELET_FLAGS", "DAEMON_ARGS"];

/// ACK's own file for them.
const ACK_FILE: &str = "/etc/kubernetes/kubelet-customized-args.conf";

const KUBELET: &str = "kubelet";

/// What starts the kubelet of a node.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The service that is restarted, without its ending.
    pub service: &'static str,
    kind: Kind,
    /// How comments in environment files are read here.
    readings: &'static [Comments],
}

#[derive(Debug, Clone)]
enum Kind {
    /// `kubelet.service`, with the files that a running systemd has loaded for it.
    Unit { known: Option<Vec<String>> },
    /// k3s or RKE2.
    Rancher(&'static str),
    /// A snap, with the folder of its data.
    Snap(&'static str),
}

/// A file in which arguments are to stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub path: String,
    pub text: String,
    /// Where the file is somebody else's.
    pub variable: Option<String>,
}

impl Launch {
    /// Looks for what starts the kubelet. `is_live` is whether the running systemd is that of the
    /// tree.
    ///
    /// # Errors
    ///
    /// A node on which nothing that is known starts one.
    pub fn find(tree: &Tree, is_live: bool) -> Result<Self, Failure> {
        let systemd = Systemd::of(tree);
        let readings = Comments::of(if is_live { systemd.version() } else { None });
        let asks = is_live && systemd.is_trees_own();
        if unit::fragment(tree, &unit_name(KUBELET)).is_some() {
            let known = if asks { systemd.files(KUBELET) } else { None };
            return Ok(Self { service: KUBELET, kind: Kind::Unit { known }, readings });
        }
        let there: Vec<(&'static str, &'static str)> = rancher::SERVICES
            .into_iter()
            .filter(|(_, service)| unit::fragment(tree, &unit_name(service)).is_some())
            .collect();
        let is_active = |(_, service): &&(&str, &str)| is_live && systemd.is_active(service);
        let is_there =
            |(service, _): &(&str, &str)| unit::fragment(tree, &unit_name(service)).is_some();
        if let (true, Some((service, data))) =
            (there.is_empty(), snap::SERVICES.into_iter().find(is_there))
        {
            return Ok(Self { service, kind: Kind::Snap(data), readings });
        }
        match there.iter().find(is_active).or(there.first()).copied() {
            Some((product, service)) => {
                Ok(Self { service, kind: Kind::Rancher(product), readings })
            }
            None => Err(Failure::new(
                Exit::Usage,
                "found no kubelet.service, k3s or RKE2 that runs a kubelet",
            )
            .hint(format!(
                "add to the arguments of the kubelet by hand: {CONFIG}=FILE {BIN_DIR}=FOLDER; see render kubelet-config"
            ))),
        }
    }

    /// By the files alone, whatever a running systemd has loaded.
    #[must_use]
    pub fn by_files(self) -> Self {
        let kind = match self.kind {
            Kind::Unit { .. } => Kind::Unit { known: None },
            kind @ (Kind::Rancher(_) | Kind::Snap(_)) => kind,
        };
        Self { kind, ..self }
    }

    /// Whether the kubelet is a process of its own, whose arguments can be seen.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        matches!(self.kind, Kind::Unit { .. })
    }

    fn unit(&self, tree: &Tree, without: &str) -> io::Result<Option<Unit>> {
        let known = match &self.kind {
            Kind::Unit { known } => known.clone(),
            Kind::Rancher(_) | Kind::Snap(_) => None,
        };
        Unit::read(tree, &unit_name(self.service), known, without)
    }

    /// The variables that the service gives what it starts.
    ///
    /// # Errors
    ///
    /// A file that is there and cannot be read.
    pub fn environment(&self, tree: &Tree) -> io::Result<Vec<(String, String)>> {
        let Some(unit) = self.unit(tree, "")? else { return Ok(Vec::new()) };
        let comments = self.readings.first().copied().unwrap_or(Comments::End);
        let mut all: Vec<(String, String)> = unit
            .environment(tree, comments)?
            .into_iter()
            .map(|(name, (value, _))| (name, value))
            .collect();
        all.sort();
        Ok(all)
    }

    /// The command line that the kubelet would get, the program first.
    ///
    /// # Errors
    ///
    /// A file that is there and cannot be read, or that versions of systemd read differently.
    pub fn arguments(&self, tree: &Tree) -> io::Result<Vec<String>> {
        let Some(unit) = self.unit(tree, "")? else { return Ok(Vec::new()) };
        let mut readings = self.readings.iter().map(|comments| unit.arguments(tree, *comments));
        let first = readings.next().transpose()?.unwrap_or_default();
        for other in readings {
            if other? != first {
                return Err(io::Error::other(env_file::Unsure::Comment));
            }
        }
        match self.kind {
            Kind::Unit { .. } => Ok(first),
            Kind::Rancher(product) => {
                rancher::arguments(tree, product, &first).map_err(io::Error::other)
            }
            Kind::Snap(data) => {
                let program = first.first().map(String::as_str).unwrap_or_default();
                snap::arguments(tree, data, program)
            }
        }
    }

    /// The files in which these arguments stand afterwards. `known` are those that were put in
    /// before.
    ///
    /// # Errors
    ///
    /// Where they cannot be put without losing others.
    pub fn place(
        &self,
        tree: &Tree,
        wanted: &[String],
        known: &[String],
    ) -> Result<Placed, Failure> {
        match self.kind {
            Kind::Unit { .. } => self.place_in_unit(tree, wanted, known),
            Kind::Rancher(product) => Ok(Placed {
                path: rancher::file(product),
                text: rancher::text(wanted),
                variable: None,
            }),
            Kind::Snap(data) => {
                let why = format!("{} is a file of a snap", snap::file(data));
                Err(by_hand(&why, wanted))
            }
        }
    }

    fn place_in_unit(
        &self,
        tree: &Tree,
        wanted: &[String],
        known: &[String],
    ) -> Result<Placed, Failure> {
        let by_hand = |why: String| by_hand(&why, wanted);
        let own = own_drop_in();
        let unit = self.unit(tree, &own).map_err(|error| by_hand(error.to_string()))?;
        let unit = unit.ok_or_else(|| by_hand("the kubelet's unit is masked".to_owned()))?;
        let command = unit.command.as_ref();
        let command = command.ok_or_else(|| by_hand("the unit starts nothing".to_owned()))?;
        let comments = self.readings.first().copied().unwrap_or(Comments::End);
        let environment = unit.environment(tree, comments);
        let environment = environment.map_err(|error| by_hand(error.to_string()))?;
        let used = command.variables();
        let Some(name) = VARIABLES.into_iter().find(|name| used.contains(name)) else {
            if command.program().rsplit('/').next() != Some("kubelet") {
                let message = format!("{} does not run a kubelet itself", self.service);
                return Err(by_hand(message));
            }
            let line = [std::slice::from_ref(&command.text), wanted].concat().join(" ");
            let text = format!("[Service]\nExecStart=\nExecStart={line}\n");
            return Ok(Placed { path: own, text, variable: None });
        };
        let edit = |value: &str| Edit {
            add: missing(wanted, value),
            remove: known.iter().filter(|flag| !wanted.contains(flag)).cloned().collect(),
        };
        let variable = Some(name.to_owned());
        match environment.get(name) {
            Some((value, Setting::File(file))) if is_for_people(file) => {
                let text = tree.text(file).map_err(|error| by_hand(error.to_string()))?;
                let text = text.unwrap_or_default();
                let new = env_file::changed(&text, name, &edit(value), self.readings);
                let new = new.map_err(|why| by_hand(format!("{name} in {file}: {why}")))?;
                Ok(Placed { path: file.clone(), text: new, variable })
            }
            Some((value, Setting::Unit(file))) if is_for_people(file) => {
                let text = tree.text(file).map_err(|error| by_hand(error.to_string()))?;
                let text = text.unwrap_or_default();
                let edit = edit(value);
                let new =
                    unit.variable(name).and_then(|v| v.replaced(&text, |raw| in_word(raw, &edit)));
                let unsafe_form = || by_hand(format!("cannot read {name} in {file} safely"));
                Ok(Placed { path: file.clone(), text: new.ok_or_else(unsafe_form)?, variable })
            }
            // A file of a package, or one that the next boot makes again: the value goes along.
            Some((value, _)) if value.contains(['"', '\'', '\\', '%', '\n']) => {
                Err(by_hand(format!("{name} has quotes or escapes in a file of a package")))
            }
            Some((value, _)) => {
                let all = [std::slice::from_ref(value), missing(wanted, value).as_slice()]
                    .concat()
                    .join(" ");
                let text = format!("[Service]\nEnvironment=\"{name}={all}\"\n");
                Ok(Placed { path: own, text, variable: None })
            }
            None => {
                let of_people = |file: &&String| {
                    **file == ACK_FILE
                        || file.ends_with("/default/kubelet")
                        || file.ends_with("/sysconfig/kubelet")
                };
                let file = unit.environment_files.iter().rfind(of_people);
                let Some(file) = file else {
                    let all = wanted.join(" ");
                    let text = format!("[Service]\nEnvironment=\"{name}={all}\"\n");
                    return Ok(Placed { path: own, text, variable: None });
                };
                let text = tree.text(file).map_err(|error| by_hand(error.to_string()))?;
                let text = text.unwrap_or_default();
                let new = env_file::changed(&text, name, &edit(""), self.readings);
                let new = new.map_err(|why| by_hand(format!("{name} in {file}: {why}")))?;
                Ok(Placed { path: file.clone(), text: new, variable })
            }
        }
    }

    /// A file of somebody else without arguments that were put in.
    ///
    /// # Errors
    ///
    /// Where that is not certain.
    pub fn taken_out(
        &self,
        tree: &Tree,
        path: &str,
        variable: &str,
        gone: &[String],
    ) -> Result<String, Failure> {
        let edit = Edit { add: Vec::new(), remove: gone.to_vec() };
        let unsafe_form = |why: String| {
            Failure::new(
                Exit::Usage,
                format!("cannot take our arguments out of {path} safely: {why}"),
            )
            .hint(format!("take out by hand: {}", gone.join(" ")))
        };
        let text = tree.text(path).map_err(|error| unsafe_form(error.to_string()))?;
        let text = text.unwrap_or_default();
        let unit = self.unit(tree, "").map_err(|error| unsafe_form(error.to_string()))?;
        let in_unit = unit
            .as_ref()
            .and_then(|unit| unit.variables.iter().rfind(|v| v.name == variable && v.file == path));
        match in_unit {
            Some(variable) => {
                let new = variable.replaced(&text, |raw| in_word(raw, &edit));
                new.ok_or_else(|| unsafe_form("it has changed".to_owned()))
            }
            None => env_file::changed(&text, variable, &edit, self.readings)
                .map_err(|why| unsafe_form(why.to_string())),
        }
    }
}

fn unit_name(service: &str) -> String {
    format!("{service}.service")
}

/// What a person has to do, for it is not certain here.
fn by_hand(why: &str, wanted: &[String]) -> Failure {
    Failure::new(Exit::Usage, format!("the kubelet's arguments cannot be changed safely: {why}"))
        .hint(format!("add to the kubelet's command line by hand: {}", wanted.join(" ")))
}

/// The drop-in that is ours alone.
#[must_use]
pub fn own_drop_in() -> String {
    format!("/etc/systemd/system/kubelet.service.d/{}", own_name("conf"))
}

/// Whether a file is ours as a whole.
#[must_use]
pub fn is_own(path: &str) -> bool {
    path == own_drop_in()
        || rancher::SERVICES.iter().any(|(product, _)| path == rancher::file(product))
}

fn missing(wanted: &[String], value: &str) -> Vec<String> {
    let there: Vec<&str> = value.split_whitespace().collect();
    wanted.iter().filter(|flag| !there.contains(&flag.as_str())).cloned().collect()
}

/// Files below /etc stay; those of packages and of a boot do not.
fn is_for_people(path: &str) -> bool {
    path.starts_with("/etc/") || path.starts_with("/var/")
}

/// A word of `Environment=` with its name: `NAME=value`, `"NAME=value"` or `NAME="value"`.
fn in_word(raw: &str, edit: &Edit) -> String {
    if let Some(quote) = raw.chars().last().filter(|c| ['"', '\''].contains(c)) {
        return edit.raw(raw, Some(quote));
    }
    let short = Edit { add: Vec::new(), remove: edit.remove.clone() }.raw(raw, None);
    if edit.add.is_empty() {
        return short;
    }
    let space = if short.ends_with('=') { "" } else { " " };
    format!("\"{short}{space}{}\"", edit.add.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::tree::Entry;

    const FLAGS: [&str; 2] = ["--x=/a", "--y=/b"];

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::new(std::path::Path::new("/proc/self/fdinfo")).unwrap();
        for (path, text) in files {
            tree.lay(path, Some(Entry::file(*text, 0o644))).unwrap();
        }
        tree
    }

    /// Where the flags go, and that the kubelet then has them and all that it had.
    fn placed(files: &[(&str, &str)]) -> (String, String) {
        let wanted = FLAGS.map(str::to_owned);
        let mut tree = tree(files);
        let launch = Launch::find(&tree, false).unwrap();
        let before = launch.arguments(&tree).unwrap();
        let placed = launch.place(&tree, &wanted, &[]).unwrap();
        tree.lay(&placed.path, Some(Entry::file(placed.text.clone(), 0o644))).unwrap();
        let after = launch.arguments(&tree).unwrap();
        for argument in before.iter().chain(&wanted) {
            assert!(after.contains(argument), "{argument} in {after:?}");
        }
        assert_eq!(after.len(), before.len() + 2);
        let again = launch.place(&tree, &wanted, &wanted).unwrap();
        assert_eq!(again, placed, "again");
        (placed.path, placed.text)
    }

    const UNIT: &str = "/etc/systemd/system/kubelet.service";

    #[test]
    fn each_kind_of_node() {
        let kubeadm = "[Service]\nEnvironmentFile=-/etc/default/kubelet\nExecStart=/usr/bin/kubelet --a $KUBELET_EXTRA_ARGS\n";
        let default = "/etc/default/kubelet";
        for (files, path, text) in [
            (&[(UNIT, kubeadm)][..], default, "KUBELET_EXTRA_ARGS=\"--x=/a --y=/b\"\n"),
            (
                &[
                    (UNIT, kubeadm),
                    (default, "KUBELET_EXTRA_ARGS = --node-ip=10.0.0.9 --max-pods=64\n"),
                ],
                default,
                "KUBELET_EXTRA_ARGS = \"--node-ip=10.0.0.9 --max-pods=64 --x=/a --y=/b\"\n",
            ),
            (
                &[
                    (UNIT, kubeadm),
                    (
                        "/etc/systemd/system/service.d/50-all.conf",
                        "[Service]\nEnvironment=KUBELET_EXTRA_ARGS=--v=2\n",
                    ),
                ],
                "/etc/systemd/system/service.d/50-all.conf",
                "[Service]\nEnvironment=\"KUBELET_EXTRA_ARGS=--v=2 --x=/a --y=/b\"\n",
            ),
            (
                &[
                    (UNIT, kubeadm),
                    (
                        "/usr/lib/systemd/system/kubelet.service.d/5.conf",
                        "[Service]\nEnvironment=KUBELET_EXTRA_ARGS=--v=2\n",
                    ),
                ],
                "/etc/systemd/system/kubelet.service.d/99-aliyun-acr-credential-provider.conf",
                "[Service]\nEnvironment=\"KUBELET_EXTRA_ARGS=--v=2 --x=/a --y=/b\"\n",
            ),
            (
                &[(
                    UNIT,
                    "[Service]\nEnvironment=KUBELET_EXTRA_ARGS=--b\nExecStart=/usr/bin/kubelet --a ${KUBELET_EXTRA_ARGS}\n",
                )],
                "/etc/systemd/system/kubelet.service.d/99-aliyun-acr-credential-provider.conf",
                "[Service]\nExecStart=\nExecStart=/usr/bin/kubelet --a ${KUBELET_EXTRA_ARGS} --x=/a --y=/b\n",
            ),
            (
                &[
                    (
                        UNIT,
                        "[Service]\nEnvironmentFile=/etc/sysconfig/kubelet\nExecStart=/usr/local/bin/kubelet \"$DAEMON_ARGS\"\n",
                    ),
                    ("/etc/sysconfig/kubelet", "DAEMON_ARGS=\"--a --b\"\n"),
                ],
                "/etc/sysconfig/kubelet",
                "DAEMON_ARGS=\"--a --b --x=/a --y=/b\"\n",
            ),
            (
                &[
                    (
                        "/etc/systemd/system/k3s-agent.service",
                        "[Service]\nExecStart=/usr/local/bin/k3s agent --kubelet-arg=v=4\n",
                    ),
                    ("/etc/rancher/k3s/config.yaml", "kubelet-arg: max-pods=64\n"),
                ],
                "/etc/rancher/k3s/config.yaml.d/99-aliyun-acr-credential-provider.yaml",
                "kubelet-arg+:\n  - x=/a\n  - y=/b\n",
            ),
        ] {
            assert_eq!(placed(files), (path.to_owned(), text.to_owned()));
        }
    }

    #[test]
    fn what_is_not_known_is_refused_with_what_to_add() {
        let wanted = FLAGS.map(str::to_owned);
        let tree = tree(&[(UNIT, "[Service]\nExecStart=/bin/sh -c 'exec kubelet'\n")]);
        let launch = Launch::find(&tree, false).unwrap();
        let failure = launch.place(&tree, &wanted, &[]).unwrap_err();
        assert!(failure.hint.unwrap().contains("--x=/a --y=/b"));
        assert!(
            Launch::find(&Tree::new(std::path::Path::new("/proc/self/fdinfo")).unwrap(), false)
                .is_err()
        );
    }
}
