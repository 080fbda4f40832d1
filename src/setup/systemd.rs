//! The running systemd and kubelet: asked, restarted and watched.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::failure::{Exit, Failure};
use crate::kubelet::process::running;
use crate::setup::in_root;
use crate::setup::tree::Tree;
use crate::system::stop::Stop;

/// Where the kubelet says whether it is healthy, if its configuration names no other port.
const HEALTH: ([u8; 4], u16) = ([127, 0, 0, 1], 10248);

/// How often as long as it is watched a kubelet may take to be healthy.
const PATIENCE: u32 = 6;

/// The systemd of a tree, which may be asked and given orders.
#[derive(Debug, Clone)]
pub struct Systemd {
    root: PathBuf,
    /// How long a kubelet is watched once it is up, in seconds: longer than one that does not like
    /// its arguments lives.
    watch: u32,
    stop: Stop,
}

impl Systemd {
    #[must_use]
    pub fn of(tree: &Tree) -> Self {
        Self { root: tree.root().to_owned(), watch: 0, stop: Stop::default() }
    }

    /// One that watches a kubelet for so many seconds, if nobody asks to stop.
    #[must_use]
    pub fn watching(self, watch: u32, stop: &Stop) -> Self {
        Self { watch, stop: stop.clone(), ..self }
    }

    /// The same, if another process asks to stop.
    #[must_use]
    pub fn to_the_end(self) -> Self {
        Self { stop: Stop::default(), ..self }
    }

    /// Whether `systemctl` is a program of the tree: what it has loaded are the files of the tree.
    #[must_use]
    pub fn is_trees_own(&self) -> bool {
        in_root::own(&self.root, "systemctl").is_some()
    }

    fn ask(&self, arguments: &[&str]) -> Option<String> {
        let output = in_root::command(&self.root, "systemctl")
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.version().is_some()
    }

    #[must_use]
    pub fn version(&self) -> Option<u32> {
        self.ask(&["--version"])?.split_whitespace().nth(1)?.parse().ok()
    }

    /// The files that it has loaded for a service; none where it does not say, or where they have
    /// changed since.
    #[must_use]
    pub fn files(&self, service: &str) -> Option<Vec<String>> {
        let properties = "FragmentPath,DropInPaths,NeedDaemonReload";
        let text = self.ask(&["show", "-p", properties, "--", service])?;
        let value =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let fragment = value("FragmentPath").filter(|path| !path.is_empty())?;
        let drop_ins = value("DropInPaths").unwrap_or_default().split_whitespace();
        let files = std::iter::once(fragment).chain(drop_ins).map(str::to_owned).collect();
        (value("NeedDaemonReload") == Some("no")).then_some(files)
    }

    #[must_use]
    pub fn is_active(&self, service: &str) -> bool {
        self.ask(&["is-active", "--quiet", service]).is_some()
    }

    #[must_use]
    pub fn has_failed(&self, service: &str) -> bool {
        self.ask(&["is-failed", "--quiet", service]).is_some()
    }

    /// Has it read its units again.
    ///
    /// # Errors
    ///
    /// If that fails.
    pub fn reload(&self) -> Result<(), Failure> {
        self.order(&["daemon-reload"])
    }

    /// # Errors
    ///
    /// If that fails.
    pub fn restart(&self, service: &str) -> Result<(), Failure> {
        self.order(&["restart", service])
    }

    /// # Errors
    ///
    /// If that fails.
    pub fn halt(&self, service: &str) -> Result<(), Failure> {
        self.order(&["stop", service])
    }

    /// A service that is not known is stopped, too.
    pub fn stop(&self, service: &str) {
        let _ = self.halt(service);
    }

    fn order(&self, arguments: &[&str]) -> Result<(), Failure> {
        let output = in_root::command(&self.root, "systemctl")
            .args(arguments)
            // Ctrl-C is for this process alone, which then puts everything back.
            .process_group(0)
            .stdin(Stdio::null())
            .output();
        let why = match output {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        let message = format!("systemctl {} failed: {why}", arguments.join(" "));
        Err(Failure::new(Exit::Unexpected, message))
    }

    /// Waits until a service is up and stays so. `says_health` is whether it did say that it is
    /// healthy before.
    ///
    /// # Errors
    ///
    /// A service that does not, in its own words, or that somebody asks to stop meanwhile.
    pub fn comes_up(&self, service: &str, says_health: bool) -> Result<(), Failure> {
        let mut up = 0;
        for second in 0..=PATIENCE * self.watch {
            if second > 0 {
                thread::sleep(Duration::from_secs(1));
            }
            if self.stop.is_asked() {
                return Err(stopped());
            }
            let is_up = self.is_active(service) && (!says_health || is_healthy());
            up = if is_up { up + 1 } else { 0 };
            if up > self.watch {
                return Ok(());
            }
        }
        Err(self.not_healthy(service))
    }

    fn not_healthy(&self, service: &str) -> Failure {
        let message = format!("{service} is not healthy after its restart");
        let failure = Failure::new(Exit::Unexpected, message);
        let lines = self.last_lines(service).into_iter().take(2);
        let failure = lines.fold(failure, Failure::caused_by);
        failure.hint(format!("see journalctl -u {service}"))
    }

    fn last_lines(&self, service: &str) -> Vec<String> {
        let output = in_root::command(&self.root, "journalctl")
            .args(["-u", service, "-n", "3", "--no-pager", "-o", "cat"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        text.unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

/// SIGTERM or SIGINT in the middle of a run.
pub fn stopped() -> Failure {
    Failure::new(Exit::Unexpected, "stopped by a signal").hint("run this again")
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
