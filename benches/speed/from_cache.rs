//! An answer from the node's cache: what nearly every pull meets.

use std::error::Error;

use crate::ecr::Ecr;
use crate::process::{Contestant, Program, compare};
use crate::report::{self, Report, ratio};
use crate::subject::{Identity, Subject};

const ROUNDS: usize = 300;

/// Wall time, at most so many times `/bin/true`.
const OVER_TRUE: f64 = 2.0;
/// At least so many times faster than the helper.
const UNDER_HELPER: f64 = 2.0;

pub fn measure(
    report: &mut Report,
    subject: &Subject,
    ecr: Option<&Ecr>,
) -> Result<(), Box<dyn Error>> {
    report::section(
        "an answer from the node's cache",
        &format!("worker role with role; medians of {ROUNDS} runs each, in turn"),
    );
    let program = subject.program(Identity::WorkerRole, subject.straight()?)?;
    let fetched = program.answer()?;
    let (seen, asked) = (subject.seen(), ecr.map(|ecr| ecr.service.calls()));
    report.holds(
        "an answer from the cache is the login that was fetched",
        password(&fetched).is_some() && password(&fetched) == password(&program.answer()?),
        "passwords compared",
    );
    if let (Some(ecr), Some(asked)) = (ecr, asked) {
        ecr.program.answer()?;
        report.calls(
            "docker-credential-ecr-login's first run calls once",
            ecr.service.calls() - asked,
            1,
        );
    }
    let asked = ecr.map(|ecr| ecr.service.calls());

    let nothing = Program::new("/bin/true");
    let (mut nothing, mut ours) = (|| nothing.cost(), || program.cost());
    let mut contestants: Vec<Contestant<'_>> =
        vec![("/bin/true", &mut nothing), ("from the cache", &mut ours)];
    let mut helper = || ecr.ok_or("not installed")?.cost();
    if ecr.is_some() {
        contestants.push(("docker-credential-ecr-login, from its cache", &mut helper));
    }
    let costs = compare(ROUNDS, &mut contestants)?.summaries;
    report::costs(&contestants, &costs);

    let seen = subject.seen().since(seen);
    report.calls("answers from the cache call nobody", seen.requests + seen.metadata, 0);
    if let (Some(ecr), Some(asked)) = (ecr, asked) {
        report.calls("nor does docker-credential-ecr-login", ecr.service.calls() - asked, 0);
    }
    let what = "wall time of /bin/true";
    if let [nothing, ours, ..] = &costs[..] {
        report.at_most(what, ratio(ours.median.wall, nothing.median.wall), OVER_TRUE, " ×");
    }
    let what = "faster than docker-credential-ecr-login";
    match &costs[..] {
        [_, ours, helper] => {
            let faster = ratio(helper.median.wall, ours.median.wall);
            report.at_least(what, faster, UNDER_HELPER, " ×");
        }
        _ => report.not_run(what, "it is not installed"),
    }
    Ok(())
}

/// What an answer has between the quotes behind `"password":`.
fn password(answer: &str) -> Option<&str> {
    answer.split_once(r#""password":""#)?.1.split('"').next()
}
