//! The way of one pull, station by station, by the same code that a pull runs.

use std::time::Duration;

use crate::aliyun::registry_host::{RegistryHost, region_in_name};
use crate::aliyun::sts::{About, MIN_DURATION};
use crate::cache::Cache;
use crate::config::{Config, Entry, IdentitySource};
use crate::doctor::report::{Report, Station};
use crate::doctor::{endpoints, entry, oss, pods, registry, remedy};
use crate::failure::{Exit, Failure};
use crate::pull::identity::{Identity, Pod, Requester};
use crate::pull::image;
use crate::pull::node::Node;
use crate::pull::registry_instance::{Lookup, Target};
use crate::pull::registry_token;
use crate::pull::role_chain::{Purpose, Sessions};

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
    let off = Cache::off(node.network.journal);
    let form = RegistryHost::parse(host);
    let region = region_in_name(host);
    let requester = Requester { pod: Pod::default(), node, registry_region: region.as_ref() };
    let sessions = Sessions::new(requester, &off);
    let find = |entry: &_| sessions.session(entry, Purpose::Find);
    let lookup = Lookup { host, form: form.as_ref(), node, session: &find };

    if let Some(claim) = pods::alone(host, form.as_ref(), config, node) {
        pods::stations(&claim, oss, config, &lookup, report);
        clock(node, report);
        return in_order(report);
    }
    let target = entry::station(config, &lookup, report);
    let why = match target {
        Err(()) => "not reached: a pull ends at `entry`".to_owned(),
        Ok(None) => "not reached: a pull is answered with no login".to_owned(),
        Ok(Some(target)) => {
            let pull = PullFrom {
                host,
                target: &target,
                lookup: &lookup,
                sessions: &sessions,
                sends_tokens,
            };
            let ended = pull.login(config, report).err().unwrap_or_default();
            report.add(endpoints::station(target.entry, &lookup));
            clock(node, report);
            report.add(registry::station(host, &target, node));
            report.stations.extend(oss::station(oss, &target, &lookup));
            format!("not reached: a pull ends at `{ended}`")
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

struct PullFrom<'a, 'n> {
    host: &'a str,
    target: &'a Target<'a>,
    lookup: &'a Lookup<'a, 'n>,
    sessions: &'a Sessions<'a, 'n>,
    sends_tokens: bool,
}

impl PullFrom<'_, '_> {
    /// Who asks, as which role, and what comes of it. The error is the station that failed.
    fn login(&self, config: &Config, report: &mut Report) -> Result<(), &'static str> {
        let Self { host, target, lookup, sessions, sends_tokens } = *self;
        let node = lookup.node;
        let pull = Purpose::Pull(target.instance.as_ref());
        let identity = sessions.identity(target.entry, pull);
        if let Err(failure) = &identity
            && sends_tokens
            && target.entry.identity.takes_pod_tokens()
        {
            pods::without_token(failure, report);
            return Err("identity");
        }
        let mut at = |name, failure: &Failure, caller: Option<&Identity>| {
            let mut station = Station::new(name);
            station.fail(failure);
            station.remedies.extend(remedy::exact(failure, caller, target, config, node));
            report.add(station);
            name
        };
        let identity = identity.map_err(|failure| at("identity", &failure, None))?;
        let session = sessions.session(target.entry, pull);
        let told = (who(target.entry, &identity), hop(target.entry, session.as_ref().ok()));
        let session = session.map_err(|failure| at("role", &failure, Some(&identity)));
        let token = session.and_then(|session| {
            node.cr(|| lookup.region(target.entry))
                .and_then(|cr| registry_token::fetch(node, cr, &session, target, host))
                .map(|(login, left)| (login.user_in_words(&session.credentials), left.as_secs()))
                .map_err(|failure| at("token", &failure, Some(&session)))
        });
        let (who, role) = told;
        report.add(well("identity", who));
        if let Some(role) = role {
            report.add(role);
        }
        let (user, seconds) = token?;
        // By the services' clock, as the end of the role's session is.
        let ends = node.network.clock.services().checked_add(Duration::from_secs(seconds));
        let ends = ends.unwrap_or_default();
        report.add(well("token", format!("user {user}, good for {seconds} s, until {ends}")));
        Ok(())
    }
}

fn well(name: &'static str, detail: String) -> Station {
    let mut station = Station::new(name);
    station.tell(detail);
    station
}

/// The assumed role, its length and end; none if it failed.
fn hop(entry: &Entry, session: Option<&Identity>) -> Option<Station> {
    let Some(role) = &entry.role else {
        return Some(Station::skipped("role", "the entry assumes none"));
    };
    let session = session?;
    let arn = session.about.as_ref().and_then(About::arn);
    let arn = arn.unwrap_or_else(|| role.arn.to_string());
    Some(well("role", format!("{arn}{}", life(entry.expire_duration, session))))
}

fn life(seconds: u32, session: &Identity) -> String {
    let expires = session.about.as_ref().and_then(About::expires);
    format!(" for {seconds} s, until {}", expires.as_deref().unwrap_or("a time that was not told"))
}

fn who(entry: &Entry, identity: &Identity) -> String {
    let owner = &identity.owner;
    match &entry.identity {
        IdentitySource::AccessKey(_) if entry.written.at.is_none() => {
            format!("{owner}, from the environment")
        }
        IdentitySource::AccessKey(_) => format!("{owner}, from the configuration"),
        IdentitySource::WorkerRole => format!("{owner}, from the instance metadata"),
        IdentitySource::Oidc(oidc) => {
            let arn = identity.about.as_ref().and_then(About::arn);
            let arn = arn.as_ref().unwrap_or(owner);
            let seconds = match entry.role {
                Some(_) => MIN_DURATION,
                None => entry.expire_duration,
            };
            let life = life(seconds, identity);
            format!("{arn}{life}, for the token in {}", oidc.token_file.display())
        }
    }
}

fn clock(node: &Node<'_>, report: &mut Report) {
    let Some(off) = node.network.clock.seen() else {
        return report.add(Station::skipped("clock", "no service has told its time"));
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
