//! Whether the result of a pull is right, by what a kubelet and a registry do with it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde_json::Value as Json;
use simulation::cloud::{Hop, SecretKind};
use simulation::kubelet::{Exit, Outcome};

use super::pulls::{Client, Opens, Place, Pull, Pulled, TIMEOUT};
use super::stalls;
use super::weather::Weather;
use crate::node::V1;

/// What a process may take beyond its timeout to start and to end before it counts as late with an
/// error: on a busy machine that is the machine's doing. A late answer is late at once.
const AROUND: Duration = Duration::from_secs(2);

/// A time stamp that is a quarter of an hour off is refused, and a little less may be in time.
const REFUSED_SKEW: i64 = 890;

/// Why there is rightly no login.
enum Refusal {
    Right,
    OutOfTime,
    Throttled,
}

#[derive(Default)]
pub struct Table {
    pub pulls: u64,
    /// A login that the registry takes, now and for as long as the kubelet keeps it.
    pub right: u64,
    /// No login for a host that is none of ours.
    pub not_ours: u64,
    /// No login because of a fault that lasts, told with the exit code of the hop that failed.
    pub refused: u64,
    /// A right answer after the configured timeout.
    pub late: u64,
    /// A right refusal, more than a little after it.
    pub refused_late: u64,
    /// All of the time used up, and told so, though every fault passed: several at once, each with
    /// its pause, on a busy machine.
    pub out_of_time: u64,
    /// Refused because the node waits for longer than the timeout after its call limit was used up.
    pub throttled: u64,
    /// Otherwise wrong, and not judged, for the machine stood still meanwhile.
    pub stood_still: u64,
    pub slowest: Duration,
    pub secrets: u64,
    pub wrong: Vec<String>,
    pub docker: u64,
    pub set_up: u64,
    pub refreshed: u64,
    pub killed: u64,
    pub rotations: u64,
    pub time: Duration,
}

impl Table {
    pub fn add(&mut self, other: Self, seed: u64, life: u64) {
        self.pulls += other.pulls;
        self.right += other.right;
        self.not_ours += other.not_ours;
        self.refused += other.refused;
        self.late += other.late;
        self.refused_late += other.refused_late;
        self.out_of_time += other.out_of_time;
        self.throttled += other.throttled;
        self.stood_still += other.stood_still;
        self.slowest = self.slowest.max(other.slowest);
        self.secrets += other.secrets;
        self.docker += other.docker;
        self.set_up += other.set_up;
        self.refreshed += other.refreshed;
        self.killed += other.killed;
        self.rotations += other.rotations;
        self.time += other.time;
        let told =
            other.wrong.into_iter().map(|wrong| format!("seed {seed}, node {life}: {wrong}"));
        self.wrong.extend(told.inspect(|wrong| println!("WRONG {wrong}")));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.time.as_secs() / 3600;
        writeln!(f, "| | |\n|---|---:|")?;
        writeln!(f, "| pulls asked | {} |", self.pulls)?;
        writeln!(f, "| answered right, with a login | {} |", self.right)?;
        writeln!(f, "| answered right, without one: not our host | {} |", self.not_ours)?;
        writeln!(
            f,
            "| refused as a lasting fault demands, with its exit code | {} |",
            self.refused
        )?;
        writeln!(f, "| answered late | {} |", self.late)?;
        writeln!(
            f,
            "| refused late, by more than {} s | {} |",
            AROUND.as_secs(),
            self.refused_late
        )?;
        writeln!(f, "| out of time, though all that failed passed | {} |", self.out_of_time)?;
        writeln!(
            f,
            "| refused: the call limit was used up, and the node waits longer than the timeout | {} |",
            self.throttled
        )?;
        writeln!(f, "| not judged: the machine stopped for a while | {} |", self.stood_still)?;
        writeln!(f, "| wrong answers | {} |", self.wrong.len())?;
        writeln!(f, "| secrets seen in any output | {} |", self.secrets)?;
        writeln!(
            f,
            "| longest pull (timeout {} s) | {:.1} s |",
            TIMEOUT.as_secs(),
            self.slowest.as_secs_f64()
        )?;
        writeln!(
            f,
            "| of the pulls, as docker helper; files set up or put back | {}, {} |",
            self.docker, self.set_up
        )?;
        writeln!(
            f,
            "| refreshes, processes killed, keys rotated | {}, {}, {} |",
            self.refreshed, self.killed, self.rotations
        )?;
        writeln!(f, "| hours that went by on the nodes | {hours} |")
    }
}

pub fn pull(
    place: &Place,
    pulled: &Pulled,
    weather: &Weather,
    trouble: &BTreeSet<Hop>,
    table: &mut Table,
) {
    let Pulled { pull, client, began, outcome, answered } = pulled;
    table.pulls += 1;
    table.docker += u64::from(matches!(client, Client::Docker));
    table.slowest = table.slowest.max(outcome.duration);
    count_secrets(place, outcome, table);
    let verdict = match (answered, outcome.exit) {
        (Some(answered), _) => answered.clone().map(|()| match pull.opens {
            Opens::Nothing => table.not_ours += 1,
            _ if outcome.duration > TIMEOUT => table.late += 1,
            _ => table.right += 1,
        }),
        (None, Exit::Code(code)) => {
            refused(place, (pull, *client), code, outcome, weather, trouble).map(|refusal| {
                match refusal {
                    Refusal::OutOfTime => table.out_of_time += 1,
                    Refusal::Throttled => table.throttled += 1,
                    Refusal::Right if outcome.duration > TIMEOUT + AROUND => {
                        table.refused_late += 1;
                    }
                    Refusal::Right => table.refused += 1,
                }
            })
        }
        (None, other) => Err(format!("ended by {other}")),
    };
    if verdict.is_err() && stalls::since(*began) {
        table.stood_still += 1;
    } else if let Err(why) = verdict {
        table.wrong.push(format!(
            "{}: {why} (skew {} s, trouble {trouble:?})\n{}",
            pull.host,
            place.skew,
            outcome.stderr_text()
        ));
    }
}

pub fn refresh(place: &Place, outcome: &Outcome, table: &mut Table) {
    table.refreshed += 1;
    count_secrets(place, outcome, table);
    // It prints no login either.
    let told = String::from_utf8_lossy(&outcome.stdout);
    table.secrets += place.node.cloud.leaks(&told).len() as u64;
    if !matches!(outcome.exit, Exit::Code(0 | 3..=6)) {
        table.wrong.push(format!("refresh ended by {}\n{}", outcome.exit, outcome.stderr_text()));
    }
}

/// The only secret that may come out is the login, and only on stdout.
fn count_secrets(place: &Place, outcome: &Outcome, table: &mut Table) {
    let cloud = &place.node.cloud;
    let on_stdout = cloud.leaks(&String::from_utf8_lossy(&outcome.stdout));
    let not_the_login =
        |leak: &&simulation::cloud::Leak| leak.secret.kind != SecretKind::RegistryPassword;
    let seen =
        cloud.leaks(&outcome.stderr_text()).len() + on_stdout.iter().filter(not_the_login).count();
    table.secrets += seen as u64;
}

/// Whether an answer is one that the registry takes now, and for as long as the kubelet keeps it, and
/// was asked for by who is configured; a pod's also not by an earlier pull: `earlier` logins had been
/// issued when it began.
pub fn answered(
    place: &Place,
    pull: &Pull,
    outcome: &Outcome,
    earlier: usize,
) -> Result<(), String> {
    let answer =
        outcome.answer(V1).map_err(|why| format!("the kubelet does not take it: {why}"))?;
    let auth = answer.auth.unwrap_or_default();
    if let Opens::Nothing = pull.opens {
        return if auth.is_empty() { Ok(()) } else { Err("a login for a foreign host".to_owned()) };
    }
    let login = auth
        .get(pull.host)
        .filter(|_| auth.len() == 1)
        .ok_or("no login for the host, or more than one")?;
    // The kubelet hands it out until the duration is over, counted from now.
    let kept = answer.cache_duration.ok_or("no cacheDuration")?.nanoseconds() / 1_000_000_000;
    opens(place, pull, &login.username, &login.password, earlier, kept)
}

/// The same of an answer to docker, which uses it at once.
pub fn answered_docker(
    place: &Place,
    pull: &Pull,
    outcome: &Outcome,
    earlier: usize,
) -> Result<(), String> {
    if let Opens::Nothing = pull.opens {
        return match (outcome.exit, outcome.stdout.as_slice()) {
            (Exit::Code(1), b"credentials not found in native keychain\n") => Ok(()),
            _ => Err("docker would not pull a foreign host without a login".to_owned()),
        };
    }
    let answer: Json = serde_json::from_slice(&outcome.stdout).map_err(|why| why.to_string())?;
    let [host, user, password] =
        ["ServerURL", "Username", "Secret"].map(|key| answer[key].as_str().unwrap_or_default());
    if host != pull.host {
        return Err(format!("the answer is for `{host}`"));
    }
    opens(place, pull, user, password, earlier, 0)
}

/// Whether a login pulls, `kept` seconds from now as well, and who has asked for it.
fn opens(
    place: &Place,
    pull: &Pull,
    user: &str,
    password: &str,
    earlier: usize,
    kept: i64,
) -> Result<(), String> {
    let cloud = &place.node.cloud;
    if let Opens::Instance(id) = pull.opens {
        cloud.login_allows_pull(user, password, id, "team/app")
    } else {
        let account = simulation::cloud::standard::REGISTRY_ACCOUNT;
        cloud.login_allows_personal_pull(user, password, account, "cn-hangzhou", "team/app")
    }
    .map_err(|why| format!("the registry does not take the login: {why}"))?;
    let (identity, number) =
        cloud.login_asked_by(user, password).ok_or("nobody has asked for it")?;
    if identity != pull.asker {
        return Err(format!("{identity} has asked for the login, and not {}", pull.asker));
    }
    if pull.pod && number < earlier {
        return Err("the login was obtained with the token of an earlier pod".to_owned());
    }
    let ends = cloud.login_ends(user, password);
    let left = ends.map_or(0, |ends| ends.as_second() - cloud.now().as_second());
    if kept < 0 || kept > left {
        return Err(format!("it is kept for {kept} s, and it lives for {left} s"));
    }
    Ok(())
}

fn refused(
    place: &Place,
    (pull, client): (&Pull, Client),
    code: i32,
    outcome: &Outcome,
    weather: &Weather,
    trouble: &BTreeSet<Hop>,
) -> Result<Refusal, String> {
    let stderr = outcome.stderr_text();
    let error = stderr.find("\nwarning: ").map_or(&*stderr, |at| &stderr[..=at]);
    // Some clients of a docker helper show stdout alone.
    let expected = match client {
        Client::Kubelet => "",
        Client::Docker => error,
    };
    if outcome.stdout != expected.as_bytes() {
        return Err("stdout has another text than the error, or an error for a kubelet".to_owned());
    }
    let lines = error.lines().count();
    let first = stderr.lines().next().unwrap_or_default();
    let is_said = first.contains(&format!(": no login for {}: ", pull.host));
    if !first.starts_with("error: ") || !is_said || lines > 5 {
        return Err("it does not say so in its first line, or in too many".to_owned());
    }
    let failed =
        |hops: &[Hop]| hops.iter().any(|hop| pull.hops.contains(hop) && trouble.contains(hop));
    let identity = [
        Hop::MetadataToken,
        Hop::MetadataRoleName,
        Hop::MetadataRoleDocument,
        Hop::AssumeRoleWithOidc,
    ];
    let registry = [
        Hop::GetAuthorizationToken,
        Hop::ListInstanceEndpoint,
        Hop::PersonalTokens,
        Hop::RegistryChallenge,
    ];
    let time_is_up = outcome.duration + AROUND > TIMEOUT;
    let asks_sts = [Hop::AssumeRole, Hop::AssumeRoleWithOidc];
    let is_throttled = place.waits_for_call_limit()
        && pull.hops.iter().any(|hop| asks_sts.contains(hop))
        && stderr.contains("the account's call limit is used up");
    let fits = match code {
        3 => failed(&identity) || is_a_token_that_looks_ended(place, pull),
        4 => failed(&[Hop::AssumeRole]),
        5 => failed(&registry),
        // Whatever took it: on a busy machine a process may wait for the disk.
        6 => failed(pull.hops) || time_is_up || is_throttled,
        _ => false,
    };
    if !fits {
        return Err(format!("exit code {code}, and no hop failed that it stands for"));
    }
    // Faults that pass are no reason to fail.
    let lasting = pull.hops.iter().any(|hop| {
        let same_service = |other: &Hop| other.service() == hop.service();
        weather.lasting.contains(hop) || weather.refused.iter().any(same_service)
    });
    let clock_stays_wrong = place.skew.abs() > REFUSED_SKEW
        && pull.hops.iter().any(|hop| weather.undated.contains(hop));
    let by_itself = clock_stays_wrong
        || (pull.hops.contains(&Hop::AssumeRoleWithOidc)
            && (!place.token_is_good() || is_a_token_that_looks_ended(place, pull)))
        || !place.key_is_known;
    match (lasting || by_itself, code) {
        (true, _) => Ok(Refusal::Right),
        (false, 6) if is_throttled => Ok(Refusal::Throttled),
        (false, 6) if time_is_up => Ok(Refusal::OutOfTime),
        _ => Err(format!("exit code {code}, though what failed passed at once")),
    }
}

/// A pod's token is new; where this machine's clock is hours ahead it seems to have ended.
fn is_a_token_that_looks_ended(place: &Place, pull: &Pull) -> bool {
    pull.hops.contains(&Hop::AssumeRoleWithOidc) && place.skew < -3500
}
