//! Snaps that start a kubelet: its arguments stand in a file of the snap's own.

use std::io;

use crate::setup::tree::Tree;

/// The services of snaps, with the folder of the snap's data.
pub const SERVICES: [(&str, &str); 3] = [
    ("snap.microk8s.daemon-kubelite", "/var/snap/microk8s/current"),
    ("snap.microk8s.daemon-kubelet", "/var/snap/microk8s/current"),
    ("snap.k8s.kubelet", "/var/snap/k8s/common"),
];

/// The file with the kubelet's arguments.
#[must_use]
pub fn file(data: &str) -> String {
    format!("{data}/args/kubelet")
}

/// The kubelet's arguments behind the program's name. The snap lets a shell read them.
///
/// # Errors
///
/// A file that is there and cannot be read.
pub fn arguments(tree: &Tree, data: &str, program: &str) -> io::Result<Vec<String>> {
    let text = tree.text(&file(data))?.unwrap_or_default();
    let words = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(str::split_whitespace)
        .map(|word| word.replace("${SNAP_DATA}", data).replace("$SNAP_DATA", data))
        .map(|word| word.replace(['"', '\''], ""));
    Ok(std::iter::once(program.to_owned()).chain(words).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::tree::Entry;

    #[test]
    fn arguments_are_read_as_a_shell_has_them() {
        let (_, data) = SERVICES[0];
        let mut tree = Tree::new(std::path::Path::new("/proc/self/fdinfo")).unwrap();
        let text = "# own\n--a=${SNAP_DATA}/x\n\n--b \"y\"\n";
        tree.lay(&file(data), Some(Entry::file(text, 0o644))).unwrap();
        let expected = ["/k", "--a=/var/snap/microk8s/current/x", "--b", "y"];
        assert_eq!(arguments(&tree, data, "/k").unwrap(), expected);
    }
}
