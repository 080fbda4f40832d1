//! One pull, for a person: the stages of [`Pull`] as they went, and what is around them.

use std::time::Duration;

use crate::aliyun::registry_host::RegistryHost;
use crate::aliyun::sts::About;
use crate::cache::Cache;
use crate::config::Config;
use crate::doctor::registry::Fetched;
use crate::doctor::report::{Check, Name, Report};
use crate::doctor::runtime::ContainerRuntime;
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

/// What a pull depends on beside the configuration.
pub struct Surroundings<'s> {
    /// The bucket that layers come from, or `auto`.
    pub oss: Option<&'s str>,
    /// The kubelet asks with a pod's token.
    pub sends_tokens: bool,
    pub runtime: &'s ContainerRuntime<'s>,
}

/// Adds the checks of a pull of an image.
pub fn image(
    image: &str,
    around: &Surroundings<'_>,
    config: &Config,
    node: &Node<'_>,
    report: &mut Report<'_>,
) {
    match image::registry_host(image) {
        Ok(host) => {
            report.host = Some(host.to_owned());
            walk(image, host, around, config, node, report);
            report.host = None;
        }
        Err(error) => {
            let mut check = Check::new(Name::IMAGE);
            let failure = Failure::new(Exit::Usage, error.to_string());
            check.fail(&failure.hint("give the image as a pod names it: HOST/NAMESPACE/NAME"));
            report.add(check);
        }
    }
}

/// Adds the checks of a pull from a host. Nothing is kept, and nothing kept is believed.
fn walk(
    image: &str,
    host: &str,
    around: &Surroundings<'_>,
    config: &Config,
    node: &Node<'_>,
    report: &mut Report<'_>,
) {
    report.begin(&format!("a pull from {host}"));
    let form = RegistryHost::parse(host);
    let lookup = Lookup { host, form: form.as_ref(), node };
    let off = Cache::off(node.network.journal);
    let trail = Pull { lookup, pod: Pod::default(), config, cache: &off }.walk();

    let mut made = Vec::new();
    let for_pods = trail.claim.as_ref().filter(|_| !trail.is_admitted);
    let (target, why) = if let Some(claim) = for_pods {
        (pods::checks(claim, config, &lookup, &mut made), pods::UNFOLLOWED.to_owned())
    } else {
        made.push(entry::check(trail.entry(), config, &lookup));
        match trail.entry() {
            Err(_) => (None, "not reached: a pull ends at `entry`".to_owned()),
            Ok(None) => (None, "not reached: the pull gets no login from this program".to_owned()),
            Ok(Some(target)) => {
                let ended = login(&trail, target, around.sends_tokens, config, node, &mut made);
                let ended = ended.unwrap_or(Name::TOKEN).text();
                let target = Target { entry: target.entry, instance: target.instance.clone() };
                (Some(target), format!("not reached: a pull ends at `{ended}`"))
            }
        }
    };
    let mut next = |name: Name| match made.iter().position(|check| check.name == name) {
        Some(at) => made.remove(at),
        None => Check::skipped(name, why.clone()),
    };
    report.add(next(Name::ENTRY));
    report.add(next(Name::IDENTITY));
    let Some(target) = target else {
        for name in [Name::ENDPOINTS, Name::CLOCK, Name::ROLE, Name::TOKEN, Name::REGISTRY] {
            report.add(next(name));
        }
        return;
    };
    report.begin(&format!("the services for {host}"));
    report.add(endpoints::check(target.entry, &lookup));
    // Without a login nobody but the registry has said what time it is.
    let name = image::repository(image);
    let repository = name.split_once('/').map(|(_, repository)| repository);
    let fetched = match (&trail.outcome, &trail.sessions.session) {
        (Ok(Some(served)), Some(caller)) if for_pods.is_none() => {
            Some(Fetched { login: &served.login, repository, caller })
        }
        _ => None,
    };
    let registry =
        || registry::check(host, &target, fetched.as_ref(), config, around.runtime, node);
    let early = for_pods.map(|_| registry());
    report.add(clock(node));
    report.add(next(Name::ROLE));
    report.add(next(Name::TOKEN));
    report.begin(&format!("the registry {host}"));
    report.add(early.unwrap_or_else(registry));
    if let Some(check) = oss::check(around.oss, &target, &lookup) {
        report.add(check);
    }
}

/// Who asks, as which role, and the login. The result is the check that failed.
fn login(
    trail: &Trail<'_>,
    target: &Target<'_>,
    sends_tokens: bool,
    config: &Config,
    node: &Node<'_>,
    made: &mut Vec<Check>,
) -> Option<Name> {
    let entry = target.entry;
    let Reached { identity, session } = &trail.sessions;
    if let (None, Err(failure)) = (identity, &trail.outcome)
        && sends_tokens
        && entry.identity.takes_pod_tokens()
    {
        pods::without_token(failure, made);
        return Some(Name::IDENTITY);
    }
    if let Some(identity) = identity {
        made.push(well(Name::IDENTITY, identity::report(entry, identity)));
    }
    match (&entry.role, session) {
        (None, Some(_)) => made.push(Check::skipped(Name::ROLE, "the entry assumes none")),
        (Some(role), Some(session)) => {
            let arn = session.about.as_ref().and_then(About::arn);
            let arn = arn.unwrap_or_else(|| role.arn.to_string());
            made.push(well(Name::ROLE, format!("{arn}{}", session.life(entry.expire_duration))));
        }
        (_, None) => {}
    }
    match (&trail.outcome, session) {
        (Ok(Some(served)), Some(session)) => {
            made.push(token(served, session, trail.may_be_kept, node));
            None
        }
        (Ok(_), _) => None,
        (Err(failure), session) => {
            let (name, caller) = match (identity, session) {
                (None, _) => (Name::IDENTITY, None),
                (identity, None) => (Name::ROLE, identity.as_ref()),
                (_, session) => (Name::TOKEN, session.as_ref()),
            };
            let mut check = Check::new(name);
            check.fail(failure);
            check.also(remedy::exact(failure, caller, target, config, node));
            if let Some(token) = remedy::token_file(failure, target) {
                check.detail(token);
            }
            made.push(check);
            Some(name)
        }
    }
}

fn token(served: &Served, session: &Identity, may_be_kept: bool, node: &Node<'_>) -> Check {
    let user = served.user_name_shown(&session.credentials);
    let seconds = served.left.as_secs();
    // By the services' clock, as the end of the role's session is.
    let ends = node.network.clock.services().checked_add(Duration::from_secs(seconds));
    let ends = ends.unwrap_or_default();
    let mut check = well(Name::TOKEN, format!("user {user}, valid for {seconds} s, until {ends}"));
    if !may_be_kept {
        check.detail("not kept on the node: each pull asks the cloud");
    }
    check
}

fn well(name: Name, detail: String) -> Check {
    let mut check = Check::new(name);
    check.detail(detail);
    check
}

fn clock(node: &Node<'_>) -> Check {
    let Some(off) = node.network.clock.seen() else {
        return Check::skipped(Name::CLOCK, "no service reported its time");
    };
    let mut check = Check::new(Name::CLOCK);
    let by = match off {
        0 => "the same as".to_owned(),
        ..0 => format!("{} s ahead of", -off),
        _ => format!("{off} s behind"),
    };
    if off.abs() <= CLOCK_ODD {
        check.detail(format!("this machine's clock is {by} the service's"));
    } else {
        let refused =
            if off.abs() > CLOCK_REFUSED { ": requests are refused at first" } else { "" };
        check.warn(
            format!("this machine's clock is {by} the service's{refused}"),
            "start time synchronisation (chrony or ntpd) on this node",
        );
    }
    check
}
