//! Whether the result of a run is what its row says, and what no run may ever do.

use std::time::Duration;

use simulation::cloud::SecretKind;
use simulation::kubelet::{Credential, Exit, GoDuration, Response};

use super::case::Case;
use super::run::{Ran, V1};
use super::table::{Expected, Login};

/// How much longer than its timeout a run may take on a busy machine.
const ALLOWANCE: Duration = Duration::from_secs(5);

/// What holds for every run, whatever its row says: it ends in time and in good order, gives nothing
/// away, and says what it has to say in few lines.
pub(super) fn broken_promises(ran: &Ran<'_>) -> Vec<String> {
    let Ran { timeout, cloud, outcome, .. } = ran;
    let mut wrong = Vec::new();
    if !matches!(outcome.exit, Exit::Code(0 | 3..=6)) {
        wrong.push(format!("it ended by {}", outcome.exit));
    }
    if outcome.duration > *timeout + ALLOWANCE {
        wrong.push(format!("it took {:.1?}, and may take {timeout:?}", outcome.duration));
    }
    if outcome.pipes_left_open {
        wrong.push("it left a process behind".to_owned());
    }
    let stderr = outcome.stderr_text();
    let is_error = |line: &&str| !line.starts_with("warning: ");
    let errors = stderr.lines().take_while(is_error).count();
    let most = if outcome.exit == Exit::Code(0) { 0 } else { 5 };
    if errors > most || stderr.lines().skip(errors).any(|line| is_error(&line)) {
        wrong.push(format!("more than {most} lines of error, or more than warnings behind them"));
    }
    if outcome.exit != Exit::Code(0) && !outcome.stdout.is_empty() {
        wrong.push("stdout is not empty though there is no answer".to_owned());
    }
    if let (Exit::Code(0), Err(failure)) = (outcome.exit, outcome.answer(V1)) {
        wrong.push(format!("the kubelet does not accept the answer: {failure}"));
    }
    for leak in cloud.leaks(&stderr) {
        wrong.push(format!("stderr gives away {:?}", leak.secret));
    }
    for leak in cloud.leaks(&String::from_utf8_lossy(&outcome.stdout)) {
        if leak.secret.kind != SecretKind::RegistryPassword {
            wrong.push(format!("stdout gives away {:?}", leak.secret));
        }
    }
    wrong.extend(cloud.violations().iter().map(|violation| format!("violation: {violation}")));
    wrong
}

/// Where a run is not as its row says.
pub(super) fn differing(case: &Case<'_>, ran: &Ran<'_>) -> Vec<String> {
    let Expected { exit, calls, says, named, cache_duration, login } = &case.expected;
    let Ran { journey, outcome, .. } = ran;
    let mut wrong = Vec::new();
    if outcome.exit != Exit::Code(*exit) {
        wrong.push(format!("{}, expected {exit}", outcome.exit));
    }
    let seen = ran.calls.iter().filter(|call| call.hop == case.place()).count();
    if !(calls.least..=calls.most).contains(&seen) {
        wrong.push(format!("{seen} calls, expected {} to {}", calls.least, calls.most));
    }
    let stderr = outcome.stderr_text();
    let first = stderr.lines().next().unwrap_or_default();
    let said = says.as_ref().map_or(first.is_empty(), |says| has_in_order(first, says));
    if !said {
        wrong.push(format!("the first line is expected to say {says:?}"));
    }
    // A renewal may take a third of the time while something old is still good.
    if *login == Login::Old && outcome.duration >= ran.timeout {
        wrong.push(format!("it took {:.1?}, all of its time", outcome.duration));
    }
    let host = journey.image.split('/').next().unwrap();
    let named = named.as_ref().unwrap_or(&journey.named);
    if *exit == 0 {
        let cache_duration = cache_duration.as_ref().unwrap_or(&journey.cache_duration);
        match outcome.answer(V1) {
            Ok(answer) => wrong.extend(unlike(ran, &answer, host, cache_duration, *login)),
            Err(_) => wrong.push("there is no answer".to_owned()),
        }
    }
    let opening = match (exit, login) {
        (0, Login::New) => return wrong,
        (0, Login::Old) => format!("warning: the login of {host} "),
        _ => format!("no login for {host}: "),
    };
    // The service's code stands before it.
    let is_opening = first.starts_with(&opening)
        || (first.starts_with("error: ") && first.contains(&format!(": {opening}")));
    if !is_opening || !first.contains(named) {
        wrong.push(format!("the first line is expected to name {host} and {named}"));
    }
    wrong
}

/// Where an answer is not the right login for `host`, one that pulls and may be kept for so long.
fn unlike(
    ran: &Ran<'_>,
    answer: &Response,
    host: &str,
    cache_duration: &str,
    right: Login,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let most = GoDuration::parse(cache_duration).unwrap().nanoseconds();
    // The time that the run took is gone from the login's life, and seconds are rounded twice.
    let gone = i64::try_from(ran.outcome.duration.as_nanos()).unwrap() + 2_000_000_000;
    let is = answer.cache_duration.map_or(i64::MIN, GoDuration::nanoseconds);
    if is > most || is < most - gone {
        wrong.push(format!("cacheDuration {:?}, expected {cache_duration}", answer.cache_duration));
    }
    let auth = answer.auth.clone().unwrap_or_default();
    match auth.get(host).filter(|_| auth.len() == 1) {
        Some(login) => {
            wrong.extend(refusal(ran, login));
            if (ran.old.as_ref() == Some(&login.password)) != (right == Login::Old) {
                wrong.push(format!("it is not the {right:?} login"));
            }
        }
        None => wrong.push(format!("auth for {:?}, expected {host}", auth.keys())),
    }
    wrong
}

/// Why a login does not pull.
fn refusal(ran: &Ran<'_>, login: &Credential) -> Option<String> {
    let Ran { journey, cloud, .. } = ran;
    let (user, password) = (&login.username, &login.password);
    let pulled = match (&journey.pulls, &journey.pulls_personal) {
        (Some(place), None) => {
            let (instance, repository) = place.split_once('/').unwrap();
            cloud.login_allows_pull(user, password, instance, repository)
        }
        (None, Some(place)) => {
            let place: Vec<&str> = place.splitn(3, '/').collect();
            cloud.login_allows_personal_pull(user, password, place[0], place[1], place[2])
        }
        _ => panic!("a hop has either `pulls` or `pulls-personal`"),
    };
    pulled.err().map(|refused| format!("the login does not pull: {refused:?}"))
}

/// Whether a line has all parts of `says`, which are separated by ` … `, one behind the other.
fn has_in_order(line: &str, says: &str) -> bool {
    let mut rest = line;
    says.split(" … ").all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}
