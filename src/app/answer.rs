//! A request on stdin, an answer for stdout: what the kubelet runs.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::Path;

use crate::app::session::{Found, Process};
use crate::cache::Access;
use crate::failure::{Exit, Failure};
use crate::kubelet::exec_api::{self, RequestError};
use crate::pull::pipeline::provide;
use crate::secret::Secret;

/// Largest request that is read, in bytes.
const MAX_REQUEST: u64 = 1024 * 1024;

/// Answers the request on stdin.
///
/// # Errors
///
/// When the request or the configuration cannot be used, or a host of ours gets no login.
pub fn run(process: Process<'_>, config: Option<&Path>) -> Result<Secret, Failure> {
    let request = read_stdin()?;
    let request = exec_api::read_request(&request)
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let found = Found::find(process, config).map_err(|error| Failure::of_configuration(&error))?;
    if let Some(answer) = found.cached_answer(&request) {
        process.journal.debug("answered from the node's cache");
        return Ok(answer);
    }
    let session = found.open(Access::Pull).map_err(|error| Failure::of_configuration(&error))?;
    let deadline = session.deadline(process.start);
    let node = session.node(&deadline, &session.cache);
    provide(&request, &session.config, &node, &session.cache)
}

fn read_stdin() -> Result<Vec<u8>, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "stdin is a terminal; the kubelet sends its request there",
        )
        .caused_by("to ask for a login by hand: echo '{\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\"kind\":\"CredentialProviderRequest\",\"image\":\"HOST/NAME\"}' | aliyun-acr-credential-provider")
        .hint("to see what a pull would meet: aliyun-acr-credential-provider doctor --image HOST/NAME"));
    }
    let mut request = Vec::new();
    // Past the buffer of `Stdin`, which is never given back and would keep the pod's token.
    let stdin = stdin.as_fd().try_clone_to_owned().map(File::from);
    let read = stdin.and_then(|stdin| stdin.take(MAX_REQUEST + 1).read_to_end(&mut request));
    read.map_err(|error| Failure::new(Exit::Usage, format!("stdin cannot be read: {error}")))?;
    if request.len() as u64 > MAX_REQUEST {
        return Err(Failure::new(Exit::Usage, RequestError::TooLarge.to_string()));
    }
    Ok(request)
}
