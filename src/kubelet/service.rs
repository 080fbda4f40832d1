//! What starts a machine's kubelet, and the commands for it.

/// A service, or a process that nothing known starts.
pub struct Service {
    pub name: &'static str,
    pub manager: Manager,
}

pub enum Manager {
    Systemd,
    OpenRc,
    /// The number of the process.
    None(u32),
}

impl Service {
    /// What starts, stops or restarts it, as a command.
    #[must_use]
    pub fn command(&self, verb: &str) -> String {
        let name = self.name;
        match self.manager {
            Manager::Systemd => format!("systemctl {verb} {name}"),
            Manager::OpenRc => format!("rc-service {name} {verb}"),
            Manager::None(process) => {
                format!("{verb} the container or the program that runs {name} (process {process})")
            }
        }
    }

    /// What shows its log.
    #[must_use]
    pub fn log(&self) -> String {
        let name = self.name;
        match self.manager {
            Manager::Systemd => format!("journalctl -u {name}"),
            Manager::OpenRc => format!("cat /var/log/{name}.log"),
            Manager::None(process) => format!("the log of {name} (process {process})"),
        }
    }
}
