//! An answer from the node's cache: what nearly every pull meets.

use std::error::Error;
use std::path::Path;

use crate::ecr::Ecr;
use crate::process::{Contestant, Program, compare};
use crate::report::{self, Report, ratio};
use crate::subject::{Identity, Subject};

const ROUNDS: usize = 300;

/// Page faults of an answer, on amd64.
const FAULTS: u64 = 80;
/// Wall time of the best tenth, at most so many times that of the build of an earlier commit.
const OVER_EARLIER: f64 = 1.15;
/// Wall time of the best tenth, at most so many times that of a static program that only exits.
const OVER_NOOP: f64 = 6.5;
/// Wall time, at most so many times `/bin/true`.
const OVER_TRUE: f64 = 2.0;
/// At least so many times faster than the helper.
const UNDER_HELPER: f64 = 2.0;

pub fn measure(
    report: &mut Report,
    subject: &Subject,
    ecr: Option<&Ecr>,
    noop: &Path,
    earlier: Option<&Path>,
) -> Result<(), Box<dyn Error>> {
    report::section(
        "an answer from the node's cache",
        &format!("worker role with role; medians of {ROUNDS} runs each, in turn"),
    );
    let program = subject.program(Identity::WorkerRole, subject.straight()?)?;
    let fetched = program.answer()?;
    let way = subject.straight()?;
    let before =
        earlier.map(|path| subject.earlier(path, Identity::WorkerRole, way)).transpose()?;
    // Fills its cache.
    before.as_ref().map(Program::answer).transpose()?;
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

    let (noop, nothing) = (Program::new(noop), Program::new("/bin/true"));
    let (mut noop, mut nothing) = (|| noop.cost(), || nothing.cost());
    let mut ours = || program.cost();
    let mut contestants: Vec<Contestant<'_>> = vec![
        ("a static program that only exits", &mut noop),
        ("/bin/true", &mut nothing),
        ("from the cache", &mut ours),
    ];
    let mut before_that = || before.as_ref().ok_or("no earlier build")?.cost();
    if earlier.is_some() {
        contestants.push(("from the cache, by the earlier commit", &mut before_that));
    }
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
    let [noop, nothing, ours, others @ ..] = &costs[..] else {
        return Err("a run is missing".into());
    };
    let faults = ours.median.faults;
    report.holds("page faults", faults <= FAULTS, &format!("{faults}, limit {FAULTS}"));
    let over = ratio(ours.best_tenth, noop.best_tenth);
    report.at_most("wall time of a static program that only exits", over, OVER_NOOP, " ×");
    let over = ratio(ours.median.wall, nothing.median.wall);
    report.at_most("wall time of /bin/true", over, OVER_TRUE, " ×");
    if let (Some(_), [earlier, ..]) = (earlier, others) {
        let over = ratio(ours.best_tenth, earlier.best_tenth);
        report.at_most("wall time of the earlier commit", over, OVER_EARLIER, " ×");
    }
    let what = "faster than docker-credential-ecr-login";
    match (ecr, others) {
        (Some(_), [.., helper]) => {
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
