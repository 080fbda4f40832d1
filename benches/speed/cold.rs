//! An answer that has to be fetched: over TLS, to loopback, so that what is left is our own.

use std::error::Error;

use jiff::Timestamp;

use crate::ecr::Ecr;
use crate::origin::Origin;
use crate::process::{Comparison, Contestant, Cost, Program, compare};
use crate::report::{self, Report, ratio};
use crate::subject::{Calls, Identity, Subject, Way};

const ROUNDS: usize = 200;

/// One connection of so many may be opened without need.
const MOST_SPARE: usize = 100;

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
             One call over TLS to loopback for both, after CONNECT, to servers of the same code"
        ),
    );
    // Loopback itself is never asked through a proxy.
    let cr_host = "acr.benchmark.test";
    let service = Origin::start(cr_host, answer)?;
    subject.trust(&service.authority)?;
    let way = Way { cr: service.address, cr_host, ..subject.straight()? };
    let program = Program {
        env: vec![("HTTPS_PROXY".to_owned(), service.proxy())],
        ..subject.program(Identity::AccessKey, way)?
    };
    let mut ours = cold(subject, Identity::AccessKey, way, &program);
    let mut contestants: Vec<Contestant<'_>> = vec![("AccessKey", &mut ours)];
    let mut helper = || {
        let ecr = ecr.ok_or("not installed")?;
        ecr.forget()?;
        ecr.cost()
    };
    if let Some(ecr) = ecr {
        // So that there is a cache to be emptied.
        ecr.program.answer()?;
        contestants.push(("docker-credential-ecr-login", &mut helper));
    }
    let asked = ecr.map(|ecr| ecr.service.calls());
    let Comparison { summaries: costs, runs } = compare(ROUNDS, &mut contestants)?;
    report::costs(&contestants, &costs);
    report.calls("each run calls once", service.calls(), runs);
    if let (Some(ecr), Some(asked)) = (ecr, asked) {
        report.calls("docker-credential-ecr-login, too", ecr.service.calls() - asked, runs);
    }
    match &costs[..] {
        [ours, helper] => {
            let (ours, helper) = (ours.median, helper.median);
            report.at_most("of its processor time", ratio(ours.cpu, helper.cpu), OF_HELPER, " ×");
            report.at_most("of its wall time", ratio(ours.wall, helper.wall), OF_HELPER, " ×");
        }
        _ => report.not_run("half of docker-credential-ecr-login", "it is not installed"),
    }
    longer_ways(report, subject, subject.straight()?)
}

/// Without a limit: what more hops cost.
fn longer_ways(report: &mut Report, subject: &Subject, way: Way) -> Result<(), Box<dyn Error>> {
    report::section(
        "cold answers of each identity",
        "straight to the simulated cloud; no limit, for comparison",
    );
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
    let expected = expected.into_iter().reduce(Calls::and).ok_or("no identity")?;
    // Where STS answers sooner than ACR is connected to, now and then a run connects twice.
    let spare = expected.connections / MOST_SPARE;
    let connections = expected.connections..=expected.connections + spare;
    let holds = connections.contains(&seen.connections)
        && (Calls { connections: 0, ..seen }) == (Calls { connections: 0, ..expected });
    report.holds("no call or connection too many", holds, &format!("{seen:?}"));
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

/// Of ACR's `GetAuthorizationToken`, with a password as long as a real one.
fn answer(now: Timestamp) -> String {
    let (token, ends) = ("MadeUpPassword".repeat(50), now.as_millisecond() + 60 * 60 * 1000);
    format!(
        r#"{{"Code":"success","IsSuccess":true,"RequestId":"0C8E7B2A-1D3F-5A6B-9C4D-2E1F3A5B7C9D","TempUsername":"cr_temp_user","AuthorizationToken":"{token}","ExpireTime":{ends}}}"#
    )
}
