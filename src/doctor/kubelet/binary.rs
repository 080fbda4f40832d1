//! The file that the kubelet starts for a provider.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::process::geteuid;

use crate::doctor::kubelet::unstartable;
use crate::doctor::report::Check;
use crate::kubelet::process::{Kubelet, version_of};
use crate::kubelet::provider_config::Provider;
use crate::program::PROGRAM;

/// Starts the binary of ours as the kubelet would, where root alone can have put it there. What other
/// programs do with `--version` is not known.
pub(super) fn check(
    bin_dir: &str,
    provider: &Provider,
    is_ours: bool,
    kubelet: &Kubelet,
    check: &mut Check,
) {
    let shown = format!("{bin_dir}/{}", provider.name);
    let path = kubelet.path(&shown);
    let metadata = match fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if let Ok(target) = fs::read_link(&path) {
                return check.refuse(
                    format!(
                        "{shown} is a link to {}, which does not exist. {NO_START}",
                        target.display()
                    ),
                    format!("rm {shown}, and put the binary there"),
                );
            }
            let remedy = near(&kubelet.path(bin_dir), &provider.name)
                .map(|near| format!("ln -s {near} {shown}"));
            let remedy = remedy.unwrap_or_else(|| format!("put the binary at {shown}"));
            return check.refuse(format!("{shown} does not exist. {NO_START}"), remedy);
        }
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return check.refuse(
                format!("{bin_dir} is not a folder. {NO_START}"),
                format!(
                    "correct --image-credential-provider-bin-dir: it names the folder of {}",
                    provider.name
                ),
            );
        }
        Err(error) => return check.warn(format!("{shown}: {error}"), "run doctor as root"),
    };
    let mode = metadata.permissions().mode();
    if !metadata.is_file() {
        check.refuse(
            format!("{shown} is not a file. {NO_START}"),
            format!("put the binary at {shown}"),
        );
        return;
    }
    if mode & 0o111 == 0 {
        check.refuse(
            format!("{shown} is not executable. {NO_START}"),
            format!("chmod 0755 {shown}"),
        );
        return;
    }
    let is_startable = metadata.uid() == 0 && (kubelet.shares_mounts || may_start(mode, kubelet));
    let has_start = is_ours && is_startable;
    let is_safe = !(is_open(&metadata) || is_ours && is_folder_open(&path));
    if is_ours
        && !(has_start && is_safe)
        && let Some((what, remedy)) = unstartable::by_form(kubelet.root(), &path, &shown)
    {
        check.refuse(what, remedy);
    }
    if is_open(&metadata) {
        check.warn(
            format!(
                "{shown} can be changed by other users than root, and the kubelet runs it as root"
            ),
            format!("chown root:root {shown}; chmod 0755 {shown}"),
        );
    } else if is_ours && is_folder_open(&path) {
        check.warn(
            format!("other users than root can replace files in {bin_dir}, and the kubelet runs them as root"),
            format!("chown root:root {bin_dir}; chmod 0755 {bin_dir}"),
        );
    } else if is_ours && metadata.uid() == 0 {
        if is_startable {
            started(&path, &shown, kubelet, check);
        } else if let Some(process) = kubelet.process().filter(|_| kubelet.has_own_mounts) {
            // Root starts nothing unasked that others may have mounted.
            check.warn(
                format!("the kubelet has mounts of its own, so {shown} was not started"),
                format!("nsenter --target {process} --mount {shown} --version"),
            );
        }
    }
}

/// Another user does not see which mounts the kubelet has, and may start what root has put there.
fn may_start(mode: u32, kubelet: &Kubelet) -> bool {
    let is_machines = kubelet.root() == Path::new("/") && !kubelet.has_own_mounts;
    is_machines && !geteuid().is_root() && mode & 0o005 == 0o005
}

/// Whether others than root and who asks can change it.
fn is_open(found: &Metadata) -> bool {
    let is_of_others = found.uid() != 0 && found.uid() != geteuid().as_raw();
    is_of_others || found.mode() & 0o022 != 0
}

/// Whether they can put another file in the place of this one.
fn is_folder_open(path: &Path) -> bool {
    let folder = path.parent().and_then(|folder| fs::metadata(folder).ok());
    folder.is_some_and(|folder| is_open(&folder) && folder.mode() & STICKY == 0)
}

/// In such a folder each user can change his own files alone.
const STICKY: u32 = 0o1000;

const NO_START: &str = "The kubelet does not start again";

fn started(path: &Path, shown: &str, kubelet: &Kubelet, check: &mut Check) {
    let version = match version_of(path) {
        Ok(version) => version,
        Err(error) => {
            let (what, remedy) = unstartable::why(kubelet.root(), path, shown, &error);
            return check.refuse(what, remedy);
        }
    };
    unstartable::denied(kubelet.root(), path, shown, check);
    if !version.starts_with(PROGRAM) {
        check.refuse(
            format!("{shown} is not {PROGRAM}"),
            format!("put {PROGRAM} at {shown}, or correct the provider's name"),
        );
    } else if version != crate::program::version() {
        check.warn(
            format!("{shown} is {version}, and this is {}", crate::program::version()),
            format!("use the doctor of that version: {shown} doctor"),
        );
    }
}

/// A file that the name was probably meant for.
fn near(folder: &Path, name: &str) -> Option<String> {
    let names = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let mut names = names.filter_map(|entry| entry.file_name().into_string().ok());
    names.find(|other| {
        let is_near = other.starts_with(name) || strsim::levenshtein(other, name) <= 4;
        is_near && unstartable::is_program(&folder.join(other))
    })
}
