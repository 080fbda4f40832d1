//! A request on stdin, an answer for stdout: what the kubelet runs.

use std::io::{self, IsTerminal};
use std::path::Path;

use crate::app::session::{Found, Process};
use crate::app::stdin;
use crate::cache::Access;
use crate::failure::{Exit, Failure};
use crate::kubelet::exec_api::{self, Login, Pod};
use crate::pull::image::registry_host;
use crate::pull::pipeline::provide;
use crate::secret::Secret;

/// Answers the request on stdin.
///
/// # Errors
///
/// When the request or the configuration cannot be used, or a host of ours gets no login.
pub fn run(process: Process<'_>, config: Option<&Path>) -> Result<Secret, Failure> {
    if io::stdin().is_terminal() {
        return Err(is_terminal());
    }
    let text = stdin::read(process.start)?;
    let request = exec_api::read_request(&text)
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let host = registry_host(&request.image)
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let login = login(process, config, host, request.pod())?;
    Ok(exec_api::response(&request, login.as_ref().map(|login| (host, login))))
}

/// The login of a host, from the node's cache or from the cloud; none if the host is not ours.
///
/// # Errors
///
/// When the configuration cannot be used, or a host of ours gets no login.
pub fn login(
    process: Process<'_>,
    config: Option<&Path>,
    host: &str,
    pod: Pod<'_>,
) -> Result<Option<Login>, Failure> {
    let found = Found::find(process, config).map_err(|error| Failure::of_configuration(&error))?;
    if let Some(login) = found.cached_login(host, pod) {
        process.journal.debug("answered from the node's cache");
        return Ok(Some(login));
    }
    let session = found.open(Access::Pull).map_err(|error| Failure::of_configuration(&error))?;
    let deadline = session.deadline(process.start);
    let node = session.node(&deadline, &session.cache);
    provide(host, pod, &session.config, &node, &session.cache)
}

fn is_terminal() -> Failure {
    Failure::new(Exit::Usage, "stdin is a terminal; the kubelet sends its request there")
        .caused_by("to ask for a login by hand: echo '{\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\"kind\":\"CredentialProviderRequest\",\"image\":\"HOST/NAME\"}' | aliyun-acr-credential-provider")
        .hint("to see what a pull would meet: aliyun-acr-credential-provider doctor --image HOST/NAME")
}
