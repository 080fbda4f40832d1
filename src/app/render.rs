//! Writes a file for others.

use std::path::Path;

use crate::app::commands::What;
use crate::app::session::{Process, Session};
use crate::cache::Access;
use crate::failure::Failure;
use crate::render::{Pods, config_map, kubelet_config, ram_policy, rbac};
use crate::secret::Secret;

/// The file's text.
///
/// # Errors
///
/// When the configuration cannot be used, or has nothing for such a file.
pub fn run(
    process: Process<'_>,
    config: Option<&Path>,
    what: What,
    options: &kubelet_config::Options,
    pods: &Pods,
) -> Result<Secret, Failure> {
    let session = Session::open(process, config, Access::Look)
        .map_err(|error| Failure::of_configuration(&error))?;
    let config = &session.config;
    let text = match what {
        What::KubeletConfig => kubelet_config::render(config, options)?,
        What::RamPolicy => ram_policy::render(config, pods)?,
        What::Rbac => rbac::render(config, pods)?,
        What::ConfigMap => config_map::render(config)?,
    };
    Ok(Secret::new(text))
}
