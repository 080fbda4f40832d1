//! One pull, for a person: the stages of [`Pull`] as they went, and what is around them.

use std::time::Duration;

use crate::aliyun::registry_host::RegistryHost;
use crate::aliyun::sts::About;
use crate::cache::Cache;
use crate::config::Config;
use crate::doctor::report::{Check, Name, Report};
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

/// Checks that every pull has, in their order.
const ORDER: [Name; 7] = [
    Name::Entry,
    Name::Identity,
    Name::Endpoints,
    Name::Clock,
    Name::Role,
    Name::Token,
    Name::Registry,
];

/// Adds the checks of a pull of an image. `oss` is the bucket that its layers come from, or
/// `auto`; `sends_tokens` says whether the kubelet asks for it with a pod's token.
pub fn image(
    image: &str,
    oss: Option<&str>,
    sends_tokens: bool,
    config: &Config,
    node: &Node<'_>,
    report: &mut Report,
) {
    let mut checks = Report::default();
    match image::registry_host(image) {
        Ok(host) => {
            walk(host, oss, sends_tokens, config, node, &mut checks);
            for check in &mut checks.checks {
                check.host = Some(host.to_owned());
            }
        }
        Err(error) => {
            let mut check = Check::new(Name::Image);
            let failure = Failure::new(Exit::Usage, error.to_string());
            check.fail(&failure.hint("give the image as a pod names it: HOST/NAMESPACE/NAME"));
            checks.add(check);
        }
    }
    report.checks.extend(checks.checks);
}

/// Adds the checks of a pull from a host. Nothing is kept, and nothing kept is believed.
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
        pods::checks(claim, oss, config, &lookup, report);
        clock(node, report);
        return in_order(report);
    }
    entry::check(trail.entry(), config, &lookup, report);
    let why = match trail.entry() {
        Err(_) => "not reached: a pull ends at `entry`".to_owned(),
        Ok(None) => "not reached: the pull gets no login from this program".to_owned(),
        Ok(Some(target)) => {
            let ended = login(&trail, target, sends_tokens, config, node, report);
            report.add(endpoints::check(target.entry, &lookup));
            clock(node, report);
            report.add(registry::check(host, target, node));
            report.checks.extend(oss::check(oss, target, &lookup));
            format!("not reached: a pull ends at `{}`", ended.unwrap_or(Name::Token).text())
        }
    };
    let known: Vec<Name> = report.checks.iter().map(|check| check.name).collect();
    for name in ORDER.into_iter().filter(|name| !known.contains(name)) {
        report.add(Check::skipped(name, why.clone()));
    }
    in_order(report);
}

fn in_order(report: &mut Report) {
    report.checks.sort_by_key(|check| check.name);
}

/// Who asks, as which role, and the login. The result is the check that failed.
fn login(
    trail: &Trail<'_>,
    target: &Target<'_>,
    sends_tokens: bool,
    config: &Config,
    node: &Node<'_>,
    report: &mut Report,
) -> Option<Name> {
    let entry = target.entry;
    let Reached { identity, session } = &trail.sessions;
    if let (None, Err(failure)) = (identity, &trail.outcome)
        && sends_tokens
        && entry.identity.takes_pod_tokens()
    {
        pods::without_token(failure, report);
        return Some(Name::Identity);
    }
    if let Some(identity) = identity {
        report.add(well(Name::Identity, identity::report(entry, identity)));
    }
    match (&entry.role, session) {
        (None, Some(_)) => report.add(Check::skipped(Name::Role, "the entry assumes none")),
        (Some(role), Some(session)) => {
            let arn = session.about.as_ref().and_then(About::arn);
            let arn = arn.unwrap_or_else(|| role.arn.to_string());
            report.add(well(Name::Role, format!("{arn}{}", session.life(entry.expire_duration))));
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
                (None, _) => (Name::Identity, None),
                (identity, None) => (Name::Role, identity.as_ref()),
                (_, session) => (Name::Token, session.as_ref()),
            };
            let mut check = Check::new(name);
            check.fail(failure);
            check.also(remedy::exact(failure, caller, target, config, node));
            report.add(check);
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
    let mut check = well(Name::Token, format!("user {user}, valid for {seconds} s, until {ends}"));
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

fn clock(node: &Node<'_>, report: &mut Report) {
    let Some(off) = node.network.clock.seen() else {
        return report.add(Check::skipped(Name::Clock, "no service reported its time"));
    };
    let mut check = Check::new(Name::Clock);
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
    report.add(check);
}
