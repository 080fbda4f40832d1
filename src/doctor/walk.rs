//! The way of one pull, station by station, by the same code that a pull runs.

use crate::aliyun::challenge;
use crate::aliyun::endpoint::Endpoint;
use crate::cache::Cache;
use crate::config::{Config, Entry, IdentitySource, Scope};
use crate::doctor::network::{self, Conflict};
use crate::doctor::report::{Report, Station, Status};
use crate::doctor::{pods, remedy};
use crate::error::{Exit, Failure};
use crate::identity::{Identity, Pod, Requester};
use crate::image;
use crate::instance::{Lookup, Target};
use crate::node::Node;
use crate::registry::RegistryHost;
use crate::registry_token;
use crate::role_chain::{Purpose, Sessions};
use crate::selection::{self, Claim};

/// More than this off, and services refuse the time stamp, in seconds.
const CLOCK_REFUSED: i64 = 900;
/// More than this off is worth a word, in seconds.
const CLOCK_ODD: i64 = 60;

const LATER: [&str; 6] = ["identity", "endpoints", "clock", "role", "token", "registry"];

/// Adds the stations of a pull of an image.
///
/// `oss` is the bucket that its layers come from, or `auto`; none: it is not looked at.
pub fn image(
    image: &str,
    oss: Option<&str>,
    config: &Config,
    node: &Node<'_>,
    report: &mut Report,
) {
    let mut stations = Report::default();
    match image::registry_host(image) {
        Ok(host) => walk(host, oss, config, node, &mut stations),
        Err(error) => {
            let mut station = Station::new("image");
            station.fail(&Failure::new(Exit::Usage, error.to_string()));
            stations.add(station);
        }
    }
    report.stations.extend(stations.stations);
}

/// Adds the stations of a pull from a host. Nothing is kept, and nothing kept is believed.
fn walk(host: &str, oss: Option<&str>, config: &Config, node: &Node<'_>, report: &mut Report) {
    let off = Cache::off(node.network.journal);
    let form = RegistryHost::parse(host);
    if let Some(stations) = pods::stations(host, form.as_ref(), config, node) {
        return report.stations.extend(stations);
    }
    let registry_region = form.as_ref().map(RegistryHost::region);
    let requester = Requester { pod: Pod::default(), node, registry_region };
    let sessions = Sessions::new(requester, &off);
    let find = |entry: &_| sessions.session(entry, Purpose::Find);
    let lookup = Lookup { host, form: form.as_ref(), node, session: &find };

    let Some(target) = entry(host, config, &lookup, report) else {
        let why = "there is no entry for the image";
        for name in LATER {
            report.add(Station::skipped(name, why));
        }
        return;
    };
    let login = login(host, &target, &lookup, &sessions, report);
    registry(host, &target, node, report);
    if let Err(station) = login {
        let why = format!("a pull ends at `{station}`");
        let known: Vec<&str> = report.stations.iter().map(|station| station.name).collect();
        for name in LATER.into_iter().filter(|name| !known.contains(name)) {
            report.add(Station::skipped(name, why.clone()));
        }
    }
    let place = |station: &Station| {
        LATER.iter().position(|name| *name == station.name).map_or(0, |place| place + 1)
    };
    report.stations.sort_by_key(place);
    if let Some(oss) = oss {
        report.add(storage(oss, &target, &lookup));
    }
}

/// Which entry covers the host, and why the others do not.
fn entry<'c>(
    host: &str,
    config: &'c Config,
    lookup: &Lookup<'_, '_>,
    report: &mut Report,
) -> Option<Target<'c>> {
    let mut station = Station::new("entry");
    let claim = selection::claim(&config.entries, host, lookup.form, || lookup.node.region());
    let target = claim.and_then(|claim| match claim {
        Claim::None => Ok(None),
        claim => lookup.target(claim),
    });
    match &target {
        Ok(Some(target)) => {
            let instance = target.instance.as_ref();
            let instance = instance.map_or("Personal Edition".to_owned(), ToString::to_string);
            station.tell(format!("{host} is {instance}, by {}", target.entry.name));
        }
        Ok(None) => {
            station.status = Status::Warning;
            station.tell(format!("{host} is covered by no entry: a pull gets no login from here"));
            station.remedies.push(match lookup.form {
                Some(RegistryHost::System { .. }) => {
                    "nothing: it has public system images".to_owned()
                }
                Some(_) => format!("add an entry to acr-registry-info with `domains: {host}`"),
                None => format!(
                    "if {host} is a custom domain of an ACR instance, add it to `domains` of its entry"
                ),
            });
        }
        Err(failure) => station.fail(failure),
    }
    let answers = target.as_ref().ok().and_then(Option::as_ref).map(|target| &target.entry.name);
    for other in config.entries.iter().filter(|entry| Some(&entry.name) != answers) {
        station.tell(format!("not {}: {}", other.name, why_not(other, host, lookup.form)));
    }
    report.add(station);
    target.ok().flatten()
}

fn why_not(entry: &Entry, host: &str, form: Option<&RegistryHost>) -> String {
    let region = form.map(RegistryHost::region);
    match (&entry.scope, form) {
        (Scope::Domains(domains), _) if domains.iter().any(|domain| domain == host) => {
            "an entry before it names the host too".to_owned()
        }
        (Scope::Domains(domains), _) => format!("it names {}", domains.join(", ")),
        (_, None) => "only entries that name it cover a host of this form".to_owned(),
        (Scope::Personal, Some(RegistryHost::Enterprise { .. })) => {
            "it is for the Personal Edition".to_owned()
        }
        (Scope::Instances, Some(RegistryHost::Personal { .. })) => {
            "it is for the Enterprise Edition".to_owned()
        }
        _ => match (&entry.region, region) {
            (Some(own), Some(region)) if own != region => {
                format!("it is for {own}, the host is in {region}")
            }
            _ => "the host is none of its instances'".to_owned(),
        },
    }
}

/// Who asks, as which role, and what comes of it. The error is the station that failed.
fn login(
    host: &str,
    target: &Target<'_>,
    lookup: &Lookup<'_, '_>,
    sessions: &Sessions<'_, '_>,
    report: &mut Report,
) -> Result<(), &'static str> {
    let node = lookup.node;
    let pull = Purpose::Pull(target.instance.as_ref());
    let identity = at(
        "identity",
        report,
        || sessions.identity(target.entry, pull),
        |identity| who(target.entry, identity),
    );
    let identity = match identity {
        Ok(identity) => identity,
        Err(failure) => {
            endpoints(None, target, lookup, report);
            clock(node, report);
            return failed("identity", &failure, None, target, node, report);
        }
    };
    let needs_sts =
        target.entry.role.is_some() || matches!(target.entry.identity, IdentitySource::Oidc(_));
    let sts = needs_sts.then(|| node.sts(lookup.known_region(target.entry)).ok()).flatten();
    endpoints(sts, target, lookup, report);
    let session = match &target.entry.role {
        None => {
            report.add(Station::skipped("role", "the entry assumes none"));
            Ok(identity.clone())
        }
        Some(role) => at(
            "role",
            report,
            || sessions.session(target.entry, pull),
            |session| {
                let about = session.about.clone().unwrap_or_default();
                let expires = about.expires.unwrap_or_else(|| "at an unknown time".to_owned());
                vec![format!(
                    "{} for {} s, ends {expires}",
                    about.arn.unwrap_or_else(|| role.arn.to_string()),
                    target.entry.expire_duration,
                )]
            },
        ),
    };
    let session = match session {
        Ok(session) => session,
        Err(failure) => {
            clock(node, report);
            return failed("role", &failure, Some(&identity), target, node, report);
        }
    };
    let fetch = || {
        let endpoint = node.cr(|| lookup.region(target.entry))?;
        registry_token::fetch(node, endpoint, &session, target, host)
    };
    let token = at("token", report, fetch, |(login, left)| {
        vec![format!("user {}, good for {} s", login.user_name(), left.as_secs())]
    });
    clock(node, report);
    match token {
        Ok(_) => Ok(()),
        Err(failure) => failed("token", &failure, Some(&session), target, node, report),
    }
}

/// A station that is well if something can be had.
fn at<T>(
    name: &'static str,
    report: &mut Report,
    work: impl FnOnce() -> Result<T, Failure>,
    tell: impl FnOnce(&T) -> Vec<String>,
) -> Result<T, Failure> {
    let result = work();
    if let Ok(value) = &result {
        let mut station = Station::new(name);
        station.details = tell(value);
        report.add(station);
    }
    result
}

fn failed(
    name: &'static str,
    failure: &Failure,
    caller: Option<&Identity>,
    target: &Target<'_>,
    node: &Node<'_>,
    report: &mut Report,
) -> Result<(), &'static str> {
    let mut station = Station::new(name);
    station.fail(failure);
    station.remedies.extend(remedy::policies(failure, caller, target, node));
    report.add(station);
    Err(name)
}

fn who(entry: &Entry, identity: &Identity) -> Vec<String> {
    let source = match &entry.identity {
        IdentitySource::AccessKey(_) => "from the configuration".to_owned(),
        IdentitySource::WorkerRole => "from the instance metadata".to_owned(),
        IdentitySource::Oidc(oidc) => format!("with the token in {}", oidc.token_file.display()),
    };
    let arn = identity.about.as_ref().and_then(|about| about.arn.clone());
    vec![format!("{} {source}", arn.unwrap_or_else(|| identity.owner.clone()))]
}

fn clock(node: &Node<'_>, report: &mut Report) {
    let Some(off) = node.network.clock.seen() else {
        return report.add(Station::skipped("clock", "no service has told its time"));
    };
    let mut station = Station::new("clock");
    let by = if off < 0 { format!("{} s ahead of", -off) } else { format!("{off} s behind") };
    if off.abs() <= CLOCK_ODD {
        station.tell(format!("{by} the service's"));
    } else {
        let refused =
            if off.abs() > CLOCK_REFUSED { ": requests are refused at first" } else { "" };
        station.warn(
            format!("{by} the service's{refused}"),
            "see that time synchronisation (chrony or ntpd) runs on this node",
        );
    }
    report.add(station);
}

/// Each host that is asked: does it resolve, can it be connected to, and how fast.
fn endpoints(
    sts: Option<&Endpoint>,
    target: &Target<'_>,
    lookup: &Lookup<'_, '_>,
    report: &mut Report,
) {
    let node = lookup.node;
    let mut station = Station::new("endpoints");
    let cr = node.cr(|| lookup.region(target.entry)).ok();
    let hosts = sts.into_iter().chain(cr).map(|endpoint| endpoint.current().url.clone());
    for url in hosts {
        network::tell(&url, Conflict::Other, &mut station);
    }
    report.add(station);
}

/// The registry itself, and the service that its pull tokens come from. Pulling needs them; this
/// program does not, so what is wrong there is told as a warning.
fn registry(host: &str, target: &Target<'_>, node: &Node<'_>, report: &mut Report) {
    let mut station = Station::new("registry");
    let base_url = node.settings.endpoints.registry.as_deref();
    let url = base_url.map_or_else(|| format!("https://{host}"), str::to_owned);
    let reachable = network::tell(&url, Conflict::Other, &mut station);
    match challenge::ask(&node.network, host, base_url) {
        Err(error) if reachable => station.warn(
            format!("{host}: {error}"),
            "the container runtime will fail here too: see what answers at this name",
        ),
        Err(_) => {}
        Ok(challenge) => {
            match (&challenge.instance, &target.instance) {
                (Some(told), Some(configured)) if told != configured => station.warn(
                    format!(
                        "the registry says that it is {told}, and {} has {configured}",
                        target.entry.name
                    ),
                    "correct instanceId or domains: a login of another instance does not pull",
                ),
                _ => {}
            }
            match &challenge.realm {
                Some(realm) => authentication(realm, node, &mut station),
                None => station.warn(
                    format!("{host} answers HTTP {} without the challenge of a registry", challenge.status),
                    "something else answers in its place: see where the name leads (DNS, /etc/hosts)",
                ),
            }
        }
    }
    report.add(station);
}

/// The service that the challenge names: it must be reached, and be itself.
fn authentication(realm: &str, node: &Node<'_>, station: &mut Station) {
    if !network::tell(realm, Conflict::Authentication, station) {
        return;
    }
    let wrong = match challenge::knock(&node.network, realm) {
        Ok(200..=299 | 400..=401) => return,
        Ok(status) => {
            format!("the authentication service answers HTTP {status}, which is not its way")
        }
        Err(error) => format!("the authentication service does not answer as itself: {error}"),
    };
    network::impostor(realm, wrong, Conflict::Authentication, station);
}

/// The bucket that layers come from. Whoever answers there with its certificate is it; what it
/// answers to somebody without a signature is its own affair.
fn storage(oss: &str, target: &Target<'_>, lookup: &Lookup<'_, '_>) -> Station {
    let mut station = Station::new("storage");
    let bucket = if oss == "auto" { bucket(target, lookup) } else { Some(oss.to_owned()) };
    let Some(bucket) = bucket else {
        station.warn(
            format!("{}: the bucket of its layers is not known by its name", lookup.host),
            "name the bucket's host with --oss; the registry's pages have it",
        );
        return station;
    };
    let url = format!("https://{bucket}");
    if network::tell(&url, Conflict::Storage, &mut station)
        && let Err(error) = challenge::knock(&lookup.node.network, &url)
    {
        let wrong = format!("{bucket} does not answer as itself: {error}");
        network::impostor(&url, wrong, Conflict::Storage, &mut station);
    }
    station
}

/// As Enterprise Edition names it, unless routing rules replace it. Hosts within a VPC lead to the
/// bucket's internal host.
fn bucket(target: &Target<'_>, lookup: &Lookup<'_, '_>) -> Option<String> {
    let (instance, form) = (target.instance.as_ref()?, lookup.form?);
    let first = lookup.host.split('.').next()?;
    let internal =
        if first.ends_with("-vpc") || first.ends_with("-internal") { "-internal" } else { "" };
    Some(format!("{instance}-registry.oss-{}{internal}.aliyuncs.com", form.region()))
}
