//! An answer that has to be fetched: over TLS, to loopback, so that what is left is our own.

use std::error::Error;

use crate::ecr::Ecr;
use crate::link;
use crate::process::{Comparison, Contestant, Cost, Program, compare};
use crate::report::{self, Report, ratio};
use crate::subject::{Calls, Identity, Subject, Way};

const ROUNDS: usize = 200;

/// Of the helper's wall and processor time.
const OF_HELPER: f64 = 0.5;

pub fn measure(
    report: &mut Report,
    subject: &Subject,
    ecr: Option<&Ecr>,
) -> Result<(), Box<dyn Error>> {
    report::section(
        "a cold answer",
        &format!(
            "medians of {ROUNDS} runs each, in turn; caches are emptied before each run, and written by it.
             One call over TLS to loopback, for both through a proxy on loopback"
        ),
    );
    let straight = subject.straight()?;
    let proxied = Way { sts: straight.sts, cr: link::proxy(straight.cr)? };
    let through_proxy = Program {
        env: vec![("HTTPS_PROXY".to_owned(), format!("http://{}", proxied.cr))],
        ..subject.program(Identity::AccessKey, proxied)?
    };
    let mut ours = cold(subject, Identity::AccessKey, proxied, &through_proxy);
    let mut contestants: Vec<Contestant<'_>> = vec![("AccessKey, through a proxy", &mut ours)];
    let mut helper = || {
        let ecr = ecr.ok_or("not installed")?;
        ecr.forget()?;
        ecr.program.cost()
    };
    if let Some(ecr) = ecr {
        // So that there is a cache to be emptied.
        ecr.program.answer()?;
        contestants.push(("docker-credential-ecr-login, through a proxy", &mut helper));
    }
    let (before, asked) = (subject.seen(), ecr.map(Ecr::calls));
    let Comparison { summaries: costs, runs } = compare(ROUNDS, &mut contestants)?;
    report::costs(&contestants, &costs);
    let seen = subject.seen().since(before);
    report.calls("each run calls once", seen.requests + seen.metadata, runs);
    if let (Some(ecr), Some(asked)) = (ecr, asked) {
        report.calls("docker-credential-ecr-login, too", ecr.calls() - asked, runs);
    }
    match &costs[..] {
        [ours, helper] => {
            let (ours, helper) = (ours.median, helper.median);
            report.at_most("of its processor time", ratio(ours.cpu, helper.cpu), OF_HELPER, " ×");
            report.at_most("of its wall time", ratio(ours.wall, helper.wall), OF_HELPER, " ×");
        }
        _ => report.not_run("half of docker-credential-ecr-login", "it is not installed"),
    }
    longer_ways(report, subject, straight)
}

/// Without a limit: what more hops cost.
fn longer_ways(report: &mut Report, subject: &Subject, way: Way) -> Result<(), Box<dyn Error>> {
    report::section("cold answers of each identity", "without a proxy; no limit, for comparison");
    let programs = Identity::ALL.map(|identity| Ok((identity, subject.program(identity, way)?)));
    let programs: Vec<(Identity, Program)> =
        programs.into_iter().collect::<Result<_, Box<dyn Error>>>()?;
    let mut runs: Vec<_> =
        programs.iter().map(|(identity, program)| cold(subject, *identity, way, program)).collect();
    let mut contestants: Vec<Contestant<'_>> = programs
        .iter()
        .zip(&mut runs)
        .map(|((identity, _), run)| (identity.name(), run as &mut dyn FnMut() -> _))
        .collect();
    let before = subject.seen();
    let Comparison { summaries: costs, runs } = compare(ROUNDS, &mut contestants)?;
    report::costs(&contestants, &costs);
    let seen = subject.seen().since(before);
    let expected = Identity::ALL.map(|identity| identity.calls().times(runs));
    let expected = expected.into_iter().reduce(Calls::and);
    report.holds("no call or connection too many", Some(seen) == expected, &format!("{seen:?}"));
    Ok(())
}

/// Runs a program after emptying its cache; that is not timed.
fn cold<'a>(
    subject: &'a Subject,
    identity: Identity,
    way: Way,
    program: &'a Program,
) -> impl FnMut() -> Result<Cost, Box<dyn Error>> + 'a {
    move || {
        subject.forget(identity, way)?;
        program.cost()
    }
}
