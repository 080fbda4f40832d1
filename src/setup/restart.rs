//! A kubelet that was restarted, and how everything is put back if it does not like what it read.

use crate::failure::Failure;
use crate::setup::kubelet_arguments::Launch;
use crate::setup::options::Options;
use crate::setup::steps::Steps;
use crate::setup::systemd::Systemd;
use crate::setup::tree::Tree;
use crate::system::stop::Stop;

/// Has the kubelet read what was put back of a run that was killed behind its restart: it may have
/// died of that run, or still have the arguments that are gone.
///
/// # Errors
///
/// A kubelet that does not come up.
pub fn read_again(tree: &Tree, options: &Options, stop: &Stop) -> Result<(), Failure> {
    let launch = Launch::find(tree, options.is_live());
    let service = launch.map_or("kubelet", |launch| launch.service);
    let systemd = Systemd::of(tree).watching(options.watch(), stop);
    systemd.reload()?;
    systemd.restart(service)?;
    systemd.comes_up(service, false)
}

/// Puts everything back, and says so with the reason.
pub fn put_back(
    steps: Steps<'_>,
    service: &str,
    systemd: &Systemd,
    says_health: bool,
    failure: Failure,
) -> Failure {
    let restarted = match steps.put_back() {
        Ok(restarted) => restarted,
        Err(why) => {
            return failure
                .caused_by(format!("and not everything could be put back: {}", why.message))
                .hint("run this again: it continues to put back");
        }
    };
    if !restarted {
        return failure.caused_by("what was there was put back");
    }
    // Who has asked to stop waits for this.
    let systemd = systemd.clone().to_the_end();
    let back = systemd.reload().and_then(|()| systemd.restart(service));
    if back.is_ok() && systemd.comes_up(service, says_health).is_ok() {
        failure.caused_by("what was there was put back, and the kubelet is healthy again")
    } else {
        failure.caused_by("what was there was put back, and the kubelet is still not healthy")
    }
}
