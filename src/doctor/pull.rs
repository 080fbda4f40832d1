//! One pull, for a person: the stages of [`Pull`] as they went, and what is around them.

use std::time::Duration;

use crate::aliyun::registry_host::RegistryHost;
use crate::cache::Cache;
use crate::config::Config;
use crate::doctor::report::{Report, Station};
use crate::doctor::{endpoints, entry, oss, pods, registry, remedy};
use crate::failure::{Exit, Failure};
use crate::kubelet::exec_api::Pod;
use crate::pull::identity::{self, Identity};
use crate::pull::image;
use crate::pull::node::Node;
use crate::pull::pipeline::{Pull, Trail};
use crate::pull::registry_instance::{Lookup, Target};
use crate::pull::registry_token::Served;
use crate::pull::role_chain::Reached;

/// More than this off, and services refuse the time stamp, in seconds.
const CLOCK_REFUSED: i64 = 900;
/// More than this off is worth a word, in seconds.
const CLOCK_ODD: i64 = 60;

/// Stations of a pull, in their order.
const ORDER: [&str; 8] =
    ["entry", "identity", "endpoints", "clock", "role", "token", "registry", "storage"];

/// Adds the stations of a pull of an image. `oss` is the bucket that its layers come from, or
/// `auto`; `sends_tokens` says whether the kubelet asks for it with a pod's token.
pub fn image(
    image: &str,
    oss: Option<&str>,
    sends_tokens: bool,
    config: &Config,
    node: &Node<'_>,
    report: &mut Report,
) {
    let mut stations = Report::default();
    match image::registry_host(image) {
        Ok(host) => {
            walk(host, oss, sends_tokens, config, node, &mut stations);
            for station in &mut stations.stations {
                station.host = Some(host.to_owned());
            }
        }
        Err(error) => {
            let mut station = Station::new("image");
            let failure = Failure::new(Exit::Usage, error.to_string());
            station.fail(&failure.hint("give the image as a pod names it: HOST/NAMESPACE/NAME"));
            stations.add(station);
        }
    }
    report.stations.extend(stations.stations);
}

/// Adds the stations of a pull from a host. Nothing is kept, and nothing kept is believed.
fn walk(
    host: &str,
    oss: Option<&str>,
    sends_tokens: bool,
    config: &Config,
    node: &Node<'_>,
    report: &mut Report,
) {
    let form = RegistryHost::parse(host);
    let lookup = Lookup { host, form: form.as_ref(), node };
    let off = Cache::off(node.network.journal);
    let trail = Pull { lookup, pod: Pod::default(), config, cache: &off }.walk();

    if let Some(claim) = trail.claim.as_ref().filter(|_| !trail.is_admitted) {
        pods::stations(claim, oss, config, &lookup, report);
        clock(node, report);
        return in_order(report);
    }
    entry::station(trail.entry(), config, &lookup, report);
    let why = match trail.entry() {
        Err(_) => "not reached: a pull ends at `entry`".to_owned(),
        Ok(None) => "not reached: a pull is answered with no login".to_owned(),
        Ok(Some(target)) => {
            let ended = login(&trail, target, sends_tokens, config, node, report);
            report.add(endpoints::station(target.entry, &lookup));
            clock(node, report);
            report.add(registry::station(host, target, node));
            report.stations.extend(oss::station(oss, target, &lookup));
            format!("not reached: a pull ends at `{}`", ended.unwrap_or_default())
        }
    };
    let known: Vec<&str> = report.stations.iter().map(|station| station.name).collect();
    for name in ORDER.into_iter().filter(|name| !known.contains(name) && *name != "storage") {
        report.add(Station::skipped(name, why.clone()));
    }
    in_order(report);
}

fn in_order(report: &mut Report) {
    report.stations.sort_by_key(|station| ORDER.iter().position(|name| *name == station.name));
}

/// Who asks, as which role, and the login. The result is the station that failed.
fn login(
    trail: &Trail<'_>,
    target: &Target<'_>,
    sends_tokens: bool,
    config: &Config,
    node: &Node<'_>,
    report: &mut Report,
) -> Option<&'static str> {
    let entry = target.entry;
    let Reached { identity, session } = &trail.sessions;
    if let (None, Err(failure)) = (identity, &trail.outcome)
        && sends_tokens
        && entry.identity.takes_pod_tokens()
    {
        pods::without_token(failure, report);
        return Some("identity");
    }
    if let Some(identity) = identity {
        report.add(well("identity", identity::report(entry, identity)));
    }
    match (&entry.role, session) {
        (None, Some(_)) => report.add(Station::skipped("role", "the entry assumes none")),
        (Some(role), Some(session)) => {
            let arn = session.about.as_ref().and_then(|about| about.arn.clone());
            let arn = arn.unwrap_or_else(|| role.arn.to_string());
            report.add(well("role", format!("{arn}{}", session.life(entry.expire_duration))));
        }
        (_, None) => {}
    }
    match (&trail.outcome, session) {
        (Ok(Some(served)), Some(session)) => {
            report.add(token(served, session, trail.may_be_kept, node));
            None
        }
        (Ok(_), _) => None,
        (Err(failure), session) => {
            let (name, caller) = match (identity, session) {
                (None, _) => ("identity", None),
                (identity, None) => ("role", identity.as_ref()),
                (_, session) => ("token", session.as_ref()),
            };
            let mut station = Station::new(name);
            station.fail(failure);
            station.remedies.extend(remedy::exact(failure, caller, target, config, node));
            report.add(station);
            Some(name)
        }
    }
}

fn token(served: &Served, session: &Identity, may_be_kept: bool, node: &Node<'_>) -> Station {
    let user = served.user_name_shown(&session.credentials);
    let seconds = served.left.as_secs();
    // By the services' clock, as the end of the role's session is.
    let ends = node.network.clock.services().checked_add(Duration::from_secs(seconds));
    let ends = ends.unwrap_or_default();
    let mut station = well("token", format!("user {user}, good for {seconds} s, until {ends}"));
    if !may_be_kept {
        station.tell("not kept on the node: each pull asks the cloud");
    }
    station
}

fn well(name: &'static str, detail: String) -> Station {
    let mut station = Station::new(name);
    station.tell(detail);
    station
}

fn clock(node: &Node<'_>, report: &mut Report) {
    let Some(off) = node.network.clock.seen() else {
        return report.add(Station::skipped("clock", "no service has reported its time"));
    };
    let mut station = Station::new("clock");
    let by = match off {
        0 => "the same as".to_owned(),
        ..0 => format!("{} s ahead of", -off),
        _ => format!("{off} s behind"),
    };
    if off.abs() <= CLOCK_ODD {
        station.tell(format!("{by} the service's"));
    } else {
        let refused =
            if off.abs() > CLOCK_REFUSED { ": requests are refused at first" } else { "" };
        station.warn(
            format!("this machine's is {by} the service's{refused}"),
            "see that time synchronisation (chrony or ntpd) runs on this node",
        );
    }
    report.add(station);
}
