//! Whether somebody has asked this process to end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Looked at where work can be broken off and put back.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on SIGTERM and SIGINT are noted and do not end the process.
    ///
    /// # Errors
    ///
    /// If the system does not allow that.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::default();
        for signal in [SIGTERM, SIGINT] {
            flag::register(signal, Arc::clone(&stop.0))?;
        }
        Ok(stop)
    }

    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
