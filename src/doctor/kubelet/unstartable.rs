//! Why the kernel does not start a file, or not let it be read: by what is in the file, the mount it is
//! on, and what SELinux and AppArmor say.

use std::fs::{self, File};
use std::io::{Error, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, getxattr, statvfs};
use rustix::io::Errno;

use crate::doctor::kubelet::log::{self, Denial, Denier};
use crate::doctor::report::Check;

/// So much of a file says what it is.
const HEAD: u64 = 4096;

/// How a script begins.
const SCRIPT: &[u8] = b"#!";

/// Whether SELinux enforces.
const SELINUX: &str = "/sys/fs/selinux/enforce";
const LABEL: &str = "security.selinux";

/// Types of labels that files keep which were copied from a home or a temporary folder. Services may
/// not start those.
const FOREIGN_TYPES: [&str; 5] =
    ["user_home_t", "admin_home_t", "user_tmp_t", "tmp_t", "unlabeled_t"];

/// What is wrong with a file that was not started, and what to do.
pub(super) fn why(root: &Path, path: &Path, shown: &str, error: &Error) -> (String, String) {
    explained(root, path, shown, error, &head(path).unwrap_or_default())
}

fn explained(
    root: &Path,
    path: &Path,
    shown: &str,
    error: &Error,
    head: &[u8],
) -> (String, String) {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    let machine = std::env::consts::ARCH;
    let cannot = format!("{shown} cannot be started: {error}");
    match errno {
        Some(Errno::NOEXEC) => {
            let what = match elf_machine(head) {
                Some(Machine::Known(name)) => {
                    format!("; it is a program for {name}, and this machine is {machine}")
                }
                Some(Machine::Number(number)) => format!(
                    "; it is a program for another processor (ELF machine {number}), and this machine is {machine}"
                ),
                None => "; it is not a program: a broken download, or an archive".to_owned(),
            };
            (
                format!("{cannot}{what}"),
                format!("install the build for this machine ({machine}) at {shown}"),
            )
        }
        Some(Errno::NOENT) => {
            let loader = loader(head);
            let has_return = loader.as_ref().is_some_and(|loader| loader.ends_with('\r'));
            let loader = loader.map_or(String::new(), |loader| {
                let loader = loader.escape_default();
                format!("; its loader or interpreter {loader} is not on this machine")
            });
            let remedy = if has_return {
                format!("sed -i 's/\\r$//' {shown}")
            } else {
                format!(
                    "install the static build at {shown}: it needs no loader or interpreter on this machine"
                )
            };
            (format!("{cannot}{loader}"), remedy)
        }
        Some(Errno::ACCESS | Errno::PERM) => {
            if is_noexec(path) {
                return (
                    format!("{cannot}; its file system is mounted noexec"),
                    format!("mount -o remount,exec \"$(findmnt -n -o TARGET -T {shown})\""),
                );
            }
            let label = label(path).filter(|_| enforces());
            let label = label.map_or(String::new(), |label| {
                format!("; SELinux enforces, and the file has the label {label}")
            });
            let denial = log::denial(root, &name(path));
            let remedy = match denial {
                Some(denial) => remedy(&denial, shown),
                None if enforces() => format!("restorecon -v {shown}"),
                None => format!("journalctl -k -b | grep -F {}", name(path)),
            };
            (format!("{cannot}{label}"), remedy)
        }
        _ => (cannot, format!("start the file by hand: {shown} --version")),
    }
}

/// What is wrong with a file by its form alone, so that nothing has to be started: it is for another
/// processor, it is not a program, or its file system runs none.
pub(super) fn by_form(root: &Path, path: &Path, shown: &str) -> Option<(String, String)> {
    let head = head(path)?;
    let is_ours = match elf_machine(&head) {
        Some(Machine::Known(name)) => name == std::env::consts::ARCH,
        Some(Machine::Number(_)) => false,
        None => head.starts_with(SCRIPT),
    };
    let errno = if !is_ours {
        Errno::NOEXEC
    } else if is_noexec(path) {
        Errno::ACCESS
    } else {
        loader(&head).map(|_| Errno::NOENT)?
    };
    Some(explained(root, path, shown, &errno.into(), &head))
}

/// What keeps the kubelet, but not this process, from starting a file.
pub(super) fn denied(root: &Path, path: &Path, shown: &str, check: &mut Check) {
    if let Some(denial) = log::denial(root, &name(path)).filter(|denial| counts(denial, path)) {
        return check.refuse(
            format!("the kubelet was denied {shown}: {}", denial.line),
            remedy(&denial, shown),
        );
    }
    let label = label(path).filter(|_| enforces());
    let kind =
        |label: &String| label.split(':').nth(2).is_some_and(|kind| FOREIGN_TYPES.contains(&kind));
    if let Some(label) = label.filter(kind) {
        check.warn(
            format!("SELinux enforces, and {shown} has the label {label}, of a file that services may not start"),
            format!("restorecon -v {shown}"),
        );
    }
}

/// What keeps this program from reading its configuration when the kubelet runs it, though root may.
pub(super) fn unreadable(root: &Path, path: &Path, check: &mut Check) {
    if let Some(denial) = log::denial_to_us(root, path).filter(|denial| counts(denial, path)) {
        let shown = path.display().to_string();
        check.refuse(
            format!("the program was denied {shown} when the kubelet ran it: {}", denial.line),
            remedy(&denial, &shown),
        );
    }
}

/// A new label is a change of the file, and ends what was denied before.
fn counts(denial: &Denial, path: &Path) -> bool {
    let changed = fs::metadata(path).map(|found| found.ctime()).unwrap_or_default();
    denial.at.is_none_or(|at| at >= changed)
}

fn remedy(denial: &Denial, shown: &str) -> String {
    match &denial.by {
        Denier::SeLinux => format!("restorecon -v {shown}"),
        // A denial of before the change of a profile counts no more.
        Denier::AppArmor(Some(profile)) => format!("aa-complain '{profile}'; touch {shown}"),
        Denier::AppArmor(None) => format!("aa-status; allow {shown} in the profile of the kubelet"),
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether a file is a program of some machine.
pub(super) fn is_program(path: &Path) -> bool {
    head(path).is_some_and(|head| elf_machine(&head).is_some())
}

pub(super) fn is_script(path: &Path) -> bool {
    head(path).is_some_and(|head| head.starts_with(SCRIPT))
}

enum Machine {
    Known(&'static str),
    Number(u16),
}

/// The processor that an ELF file is for; none for other files.
fn elf_machine(head: &[u8]) -> Option<Machine> {
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let bytes = [*head.get(18)?, *head.get(19)?];
    let is_big = head.get(5) == Some(&2);
    let number = if is_big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
    Some(match number {
        3 => Machine::Known("x86"),
        40 => Machine::Known("arm"),
        62 => Machine::Known("x86_64"),
        183 => Machine::Known("aarch64"),
        243 => Machine::Known("riscv64"),
        258 => Machine::Known("loongarch64"),
        number => Machine::Number(number),
    })
}

/// What the kernel starts for a file, if it is not there: the interpreter of a script, or an ELF
/// file's loader.
fn loader(head: &[u8]) -> Option<String> {
    let text = match head.strip_prefix(SCRIPT) {
        // A carriage return belongs to the name, as the kernel has it.
        Some(line) => line.split(|b| *b == b'\n').next()?.trim_ascii_start(),
        // The loader's path is the only one that stands between two zeros in the head.
        None => head.split(|b| *b == 0).find(|part| part.starts_with(b"/lib"))?,
    };
    let text = String::from_utf8_lossy(text).split([' ', '\t']).next()?.to_owned();
    (!PathBuf::from(&text).exists()).then_some(text)
}

fn head(path: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
    Some(head)
}

fn is_noexec(path: &Path) -> bool {
    statvfs(path).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::NOEXEC))
}

fn enforces() -> bool {
    fs::read_to_string(SELINUX).is_ok_and(|text| text.trim() == "1")
}

fn label(path: &Path) -> Option<String> {
    let mut label = [0; 256];
    let length = getxattr(path, LABEL, &mut label).ok()?;
    let label = String::from_utf8_lossy(label.get(..length)?).into_owned();
    Some(label.trim_end_matches('\0').to_owned())
}
