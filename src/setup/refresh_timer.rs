//! The timer that renews logins, with what the kubelet gives the program: variables and arguments.

use std::fmt::Write;

use crate::config::variables as environment_variables;
use crate::config::{CacheDir, Settings};
use crate::program::PROGRAM;
use crate::setup::steps::Change;
use crate::setup::tree::Entry;
use crate::setup::undo::What;

const UNITS: &str = "/etc/systemd/system";

/// The timer's unit.
#[must_use]
pub fn name() -> String {
    format!("{PROGRAM}-refresh.timer")
}

/// What the timer starts.
#[must_use]
pub fn service() -> String {
    format!("{PROGRAM}-refresh.service")
}

/// The units and the link that starts the timer with the machine.
#[must_use]
pub fn changes(
    bin_dir: &str,
    settings: &Settings,
    arguments: &[String],
    variables: &[(String, String)],
) -> Vec<Change> {
    let writable = match &settings.cache_dir {
        Some(CacheDir::At(path)) => format!("-{}", escaped(&path.to_string_lossy())),
        _ => String::new(),
    };
    let quoted = |text: &String| format!("\"{}\"", quotable(text));
    let command: Vec<String> =
        arguments.iter().map(quoted).chain(std::iter::once("refresh".to_owned())).collect();
    let mut environment = String::new();
    for (name, value) in variables {
        if environment_variables::decides(name) {
            let _ = writeln!(environment, "Environment=\"{name}={}\"", quotable(value));
        }
    }
    // Variables may hold an AccessKey or the password of a proxy.
    let mode = if environment.is_empty() { 0o644 } else { 0o600 };
    let text = format!(
        "[Unit]\nDescription=Renew ACR logins before they end\n[Service]\nType=oneshot\nExecStart={}/{PROGRAM} {}\n{environment}RuntimeDirectory={PROGRAM}\nRuntimeDirectoryMode=0700\nRuntimeDirectoryPreserve=yes\nReadWritePaths={writable}\nProtectSystem=strict\nProtectHome=read-only\nNoNewPrivileges=yes\n",
        escaped(bin_dir),
        command.join(" ")
    );
    let timer = "[Unit]\nDescription=Renew ACR logins before they end\n[Timer]\nOnBootSec=5min\nOnUnitActiveSec=5min\nRandomizedDelaySec=2min\n[Install]\nWantedBy=timers.target\n";
    let file = format!("{UNITS}/{}", service());
    let timer_file = format!("{UNITS}/{}", name());
    let link = format!("{UNITS}/timers.target.wants/{}", name());
    vec![
        Change::new(file, What::Refresh, Some(Entry::file(text, mode))),
        Change::new(timer_file.clone(), What::Refresh, Some(Entry::file(timer, 0o644))),
        Change::new(link, What::Refresh, Some(Entry::Link(timer_file.into()))),
    ]
}

/// systemd takes what stands behind a `%` for something else.
fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}

fn quotable(text: &str) -> String {
    escaped(text).replace('\\', "\\\\").replace('"', "\\\"")
}
