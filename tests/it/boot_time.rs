//! Runs a program as if the machine had been up for longer, in a time namespace of Linux: the node's
//! cache counts by the boot clock, which nobody can set.

use std::io::Write;
use std::process::Command;

use simulation::kubelet::Exec;

const UNSHARE: &str = "/usr/bin/unshare";

/// Set to anything, it accepts that what needs a time namespace is not run.
const ACCEPTED: &str = "ACCEPT_NO_TIME_NAMESPACE";

/// Seconds, many more than pass while it is tried.
const PROBE: u32 = 100_000;

/// The way to a time namespace that this machine has.
pub struct BootTime(&'static [&'static str]);

impl BootTime {
    /// None where there is no way and that is accepted. Fails where it is not.
    pub fn or_accepted(purpose: &str) -> Option<Self> {
        // Root may do so, and others as root of a user namespace, if the machine allows those.
        let ways: [&[&str]; 2] = [&[], &["--map-root-user"]];
        let found = ways.into_iter().map(Self).find(Self::works);
        if found.is_none() {
            // Past the test harness, which shows nothing of a test that passes.
            let told = format!(
                "NOT RUN: {purpose}: this machine gives this user no time namespace ({UNSHARE} --time)"
            );
            std::io::stderr().write_all(format!("\n{told}\n").as_bytes()).unwrap();
            assert!(
                std::env::var_os(ACCEPTED).is_some(),
                "{told}. Run it as root, or set {ACCEPTED}=1 to go without"
            );
        }
        found
    }

    /// Has the program run that many seconds later in the machine's life.
    pub fn advance(&self, exec: &mut Exec, seconds: u32) {
        let program = std::mem::replace(&mut exec.program, UNSHARE.into());
        let program = program.to_str().unwrap().to_owned();
        exec.args = [self.arguments(seconds), vec![program], exec.args.split_off(0)].concat();
    }

    fn arguments(&self, seconds: u32) -> Vec<String> {
        let seconds = seconds.to_string();
        // Only a child is in the new namespace for certain.
        let rest = ["--fork", "--kill-child", "--time", "--boottime", &seconds];
        self.0.iter().copied().chain(rest).map(str::to_owned).collect()
    }

    fn works(&self) -> bool {
        const UPTIME: &str = "/proc/uptime";
        let seconds = |text: &str| text.split('.').next()?.parse::<u32>().ok();
        let mut shifted = Command::new(UNSHARE);
        shifted.args(self.arguments(PROBE)).args(["cat", UPTIME]);
        let Ok(shifted) = shifted.output() else { return false };
        let before = seconds(&std::fs::read_to_string(UPTIME).unwrap()).unwrap();
        let later = seconds(&String::from_utf8_lossy(&shifted.stdout));
        later.is_some_and(|later| later >= before + PROBE / 2)
    }
}
