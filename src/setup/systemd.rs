//! The running systemd and kubelet: asked, restarted and watched.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::failure::{Exit, Failure};
use crate::kubelet::process::running;
use crate::setup::tree::Tree;

/// Where the kubelet says whether it is healthy, if its configuration names no other port.
const HEALTH: ([u8; 4], u16) = ([127, 0, 0, 1], 10248);

/// How often as long as it is watched a kubelet may take to be healthy.
const PATIENCE: u32 = 6;

/// A systemd that may be asked and given orders.
#[derive(Debug, Clone, Copy)]
pub struct Systemd {
    /// How long a kubelet is watched once it is up, in seconds: longer than one that does not like
    /// its arguments lives.
    pub watch: u32,
}

impl Systemd {
    fn ask(arguments: &[&str]) -> Option<String> {
        let output = Command::new("systemctl")
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_there() -> bool {
        Self::version().is_some()
    }

    #[must_use]
    pub fn version() -> Option<u32> {
        Self::ask(&["--version"])?.split_whitespace().nth(1)?.parse().ok()
    }

    /// The files that it has loaded for a service; none where it does not say, or where they have
    /// changed since.
    #[must_use]
    pub fn files(service: &str) -> Option<Vec<String>> {
        let properties = "FragmentPath,DropInPaths,NeedDaemonReload";
        let text = Self::ask(&["show", "-p", properties, "--", service])?;
        let value =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let fragment = value("FragmentPath").filter(|path| !path.is_empty())?;
        let drop_ins = value("DropInPaths").unwrap_or_default().split_whitespace();
        let files = std::iter::once(fragment).chain(drop_ins).map(str::to_owned).collect();
        (value("NeedDaemonReload") == Some("no")).then_some(files)
    }

    #[must_use]
    pub fn is_active(service: &str) -> bool {
        Self::ask(&["is-active", "--quiet", service]).is_some()
    }

    #[must_use]
    pub fn has_failed(service: &str) -> bool {
        Self::ask(&["is-failed", "--quiet", service]).is_some()
    }

    /// Has it read its units again.
    ///
    /// # Errors
    ///
    /// If that fails.
    pub fn reload() -> Result<(), Failure> {
        Self::order(&["daemon-reload"])
    }

    /// # Errors
    ///
    /// If that fails.
    pub fn restart(service: &str) -> Result<(), Failure> {
        Self::order(&["restart", service])
    }

    /// # Errors
    ///
    /// If that fails.
    pub fn halt(service: &str) -> Result<(), Failure> {
        Self::order(&["stop", service])
    }

    /// A service that is not known is stopped, too.
    pub fn stop(service: &str) {
        let _ = Self::order(&["stop", service]);
    }

    fn order(arguments: &[&str]) -> Result<(), Failure> {
        let output = Command::new("systemctl").args(arguments).stdin(Stdio::null()).output();
        let why = match output {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        let message = format!("systemctl {} failed: {why}", arguments.join(" "));
        Err(Failure::new(Exit::Unexpected, message))
    }

    /// Whether a service comes up and stays so. `says_health` is whether it did say that it is
    /// healthy before.
    #[must_use]
    pub fn comes_up(self, service: &str, says_health: bool) -> bool {
        let mut up = 0;
        for second in 0..=PATIENCE * self.watch {
            if second > 0 {
                thread::sleep(Duration::from_secs(1));
            }
            let is_up = Self::is_active(service) && (!says_health || is_healthy());
            up = if is_up { up + 1 } else { 0 };
            if up > self.watch {
                return true;
            }
        }
        false
    }

    /// The last lines that a service wrote.
    #[must_use]
    pub fn last_lines(service: &str) -> Vec<String> {
        let output = Command::new("journalctl")
            .args(["-u", service, "-n", "3", "--no-pager", "-o", "cat"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        text.unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

/// Whether the kubelet says that it is healthy.
#[must_use]
pub fn is_healthy() -> bool {
    let ask = || -> std::io::Result<String> {
        let wait = Duration::from_secs(2);
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from(HEALTH), wait)?;
        stream.set_read_timeout(Some(wait))?;
        stream.set_write_timeout(Some(wait))?;
        stream.write_all(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut text = String::new();
        stream.take(4096).read_to_string(&mut text)?;
        Ok(text)
    };
    ask().is_ok_and(|text| text.split_whitespace().nth(1) == Some("200"))
}

/// The arguments of the kubelet that runs; none where none is to be seen.
#[must_use]
pub fn running_arguments(tree: &Tree) -> Option<Vec<String>> {
    running(tree.root()).map(|kubelet| kubelet.flags.arguments().to_vec())
}
