//! Whether the file system of the cache can be written to. Nothing of the trial stays.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use rustix::fs::{self, Mode, OFlags, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::doctor::report::Check;

/// About as much as a login takes.
const TRIAL: [u8; 4096] = [0; 4096];

/// Why nothing can be kept.
enum Problem {
    ReadOnly,
    Full,
    NoInodes,
    Other(Errno),
}

/// Looks at the folder, or at the one above it that is there.
pub(super) fn check(directory: &Path, check: &mut Check) {
    let Some(there) = directory.ancestors().find(|folder| folder.is_dir()) else { return };
    let Some(problem) = problem(there) else { return };
    let place = there.display();
    let (what, remedy) = match problem {
        Problem::ReadOnly => (
            "is read-only".to_owned(),
            format!("mount -o remount,rw \"$(findmnt -n -o TARGET -T {place})\""),
        ),
        Problem::Full => ("is full".to_owned(), format!("df -h {place}; free some space")),
        Problem::NoInodes => {
            ("has no inodes left".to_owned(), format!("df -i {place}; remove some files"))
        }
        Problem::Other(why) => {
            (format!("takes no file: {why}"), format!("findmnt -T {place}; ls -ld {place}"))
        }
    };
    check.warn(
        format!(
            "the file system of {place} {what}: no login is kept, and each pull asks the cloud"
        ),
        remedy,
    );
}

fn problem(folder: &Path) -> Option<Problem> {
    let stat = fs::statvfs(folder).ok()?;
    if stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Some(Problem::ReadOnly);
    }
    // A file without a name, which goes when it is closed.
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let why = match fs::open(folder, flags, Mode::RUSR | Mode::WUSR) {
        // It may be written when it is closed.
        Ok(file) => match File::from(file).write_all(&TRIAL) {
            Ok(()) => return None,
            Err(error) => Errno::from_io_error(&error)?,
        },
        // Not every file system has files without a name.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => return None,
        // The kubelet's runs are root's.
        Err(Errno::ACCESS) if !geteuid().is_root() => return None,
        Err(why) => why,
    };
    Some(match why {
        Errno::ROFS => Problem::ReadOnly,
        Errno::NOSPC | Errno::DQUOT if stat.f_files > 0 && stat.f_favail == 0 => Problem::NoInodes,
        Errno::NOSPC | Errno::DQUOT => Problem::Full,
        why => Problem::Other(why),
    })
}
