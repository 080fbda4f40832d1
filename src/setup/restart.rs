//! A kubelet that was restarted: what is said if it is not healthy, and how everything is put back.

use crate::failure::{Exit, Failure};
use crate::setup::kubelet_arguments::Launch;
use crate::setup::options::Options;
use crate::setup::steps::Steps;
use crate::setup::systemd::Systemd;
use crate::setup::tree::Tree;

/// A service that is not healthy, in its own words.
pub fn not_healthy(service: &str) -> Failure {
    let message = format!("{service} is not healthy after its restart");
    let lines = Systemd::last_lines(service);
    let failure = Failure::new(Exit::Unexpected, message);
    let failure = lines.into_iter().take(2).fold(failure, Failure::caused_by);
    failure.hint(format!("see journalctl -u {service}"))
}

/// Has the kubelet read what was put back of a run that was killed behind its restart: it may have
/// died of that run, or still have the arguments that are gone.
///
/// # Errors
///
/// A kubelet that does not come up.
pub fn read_again(tree: &Tree, options: &Options) -> Result<(), Failure> {
    let launch = Launch::find(tree, options.is_live());
    let service = launch.map_or("kubelet", |launch| launch.service);
    Systemd::reload()?;
    Systemd::restart(service)?;
    let is_up = Systemd { watch: options.watch() }.comes_up(service, false);
    if is_up { Ok(()) } else { Err(not_healthy(service)) }
}

/// Puts everything back, and says so with the reason.
pub fn put_back(
    steps: Steps<'_>,
    service: &str,
    systemd: Systemd,
    says_health: bool,
    failure: Failure,
) -> Failure {
    let restarted = match steps.put_back() {
        Ok(restarted) => restarted,
        Err(why) => {
            return failure
                .caused_by(format!("and not everything could be put back: {}", why.message))
                .hint("run this again: it goes on putting back");
        }
    };
    if !restarted {
        return failure.caused_by("what was there was put back");
    }
    let back = Systemd::reload().and_then(|()| Systemd::restart(service));
    if back.is_ok() && systemd.comes_up(service, says_health) {
        failure.caused_by("what was there was put back, and the kubelet is healthy again")
    } else {
        failure.caused_by("what was there was put back, and the kubelet is still not healthy")
    }
}
