//! What a run is held against.

use std::fs;
use std::time::Duration;

use serde::Deserialize;
use simulation::cloud::SecretKind;
use simulation::kubelet::{Credential, Exit, Outcome, urls_match};

use super::Run;

/// What other work on the machine may add to a run.
const BUSY: Duration = Duration::from_secs(10);

/// What makes docker and its like go on without a login, anywhere in a helper's output.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// A credential helper's answer to `get`, with nothing beside it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HelperLogin {
    #[serde(rename = "ServerURL")]
    server: String,
    #[serde(rename = "Username")]
    user_name: String,
    #[serde(rename = "Secret")]
    secret: String,
}

impl HelperLogin {
    fn credential(self) -> Credential {
        Credential { username: self.user_name, password: self.secret }
    }
}

impl Run {
    pub(super) fn check_exit(&self, outcome: &Outcome, wrong: &mut Vec<String>) {
        let expect = &self.scenario.expect;
        if outcome.exit != Exit::Code(i32::from(expect.exit)) {
            wrong.push(format!("exit {}, expected {}", outcome.exit, expect.exit));
        }
        if let Some(seconds) = expect.within
            && outcome.duration > Duration::from_secs(seconds) + BUSY
        {
            wrong.push(format!("took {:.1?}, expected at most {seconds} s", outcome.duration));
        }
    }

    pub(super) fn check_answer(&self, request: &str, outcome: &Outcome, wrong: &mut Vec<String>) {
        let expect = &self.scenario.expect;
        if expect.exit != 0 {
            if !outcome.stdout.is_empty() {
                wrong.push("stdout is not empty though there is no answer".to_owned());
            }
            let lines = outcome
                .stderr_text()
                .lines()
                .take_while(|line| !line.starts_with("warning: "))
                .count();
            if lines > 5 {
                wrong.push(format!("{lines} lines of error, expected at most five"));
            }
            return;
        }
        let request: serde_json::Value = serde_json::from_str(request).unwrap();
        let answer = match outcome.answer(request["apiVersion"].as_str().unwrap()) {
            Ok(answer) => answer,
            Err(failure) => {
                return wrong.push(format!("the kubelet does not accept the answer: {failure:?}"));
            }
        };
        let key_type = format!("{:?}", answer.cache_key_type);
        if Some(&key_type) != expect.cache_key_type.as_ref() {
            wrong.push(format!("cacheKeyType {key_type}, expected {:?}", expect.cache_key_type));
        }
        let nanoseconds =
            answer.cache_duration.map_or(-1, simulation::kubelet::GoDuration::nanoseconds);
        let most = expect
            .cache_duration
            .as_deref()
            .map_or(0, |text| simulation::kubelet::GoDuration::parse(text).unwrap().nanoseconds());
        // The time that the run took is gone from the login's life, and seconds are rounded twice.
        let gone = i64::try_from(outcome.duration.as_nanos()).unwrap() + 2_000_000_000;
        if nanoseconds > most || nanoseconds < most - gone {
            wrong.push(format!(
                "cacheDuration {:?}, expected {:?}",
                answer.cache_duration, expect.cache_duration
            ));
        }
        let auth = answer.auth.unwrap_or_default();
        if auth.keys().collect::<Vec<_>>() != expect.auth.iter().collect::<Vec<_>>() {
            wrong.push(format!("auth for {:?}, expected {:?}", auth.keys(), expect.auth));
        }
        for (key, login) in auth {
            // The kubelet uses a login only for images that its key matches.
            if urls_match(&key, request["image"].as_str().unwrap()) != Ok(true) {
                wrong.push(format!("`{key}` does not match the image"));
            }
            self.check_login(&login, wrong);
        }
    }

    /// A credential helper's stdout: a login, the text that is expected, or the error of stderr, because
    /// docker shows stderr alone and the other clients quote stdout alone.
    pub(super) fn check_helper(&self, outcome: &Outcome, wrong: &mut Vec<String>) {
        let expect = &self.scenario.expect;
        let (stdout, stderr) = (String::from_utf8_lossy(&outcome.stdout), outcome.stderr_text());
        if stderr.contains(NOT_FOUND) {
            wrong.push("stderr has the words that make clients go on without a login".to_owned());
        }
        if let Some(server) = &expect.server {
            match serde_json::from_str::<HelperLogin>(&stdout) {
                Ok(login) if login.server == *server => {
                    self.check_login(&login.credential(), wrong);
                }
                Ok(login) => wrong.push(format!("ServerURL {}, expected {server}", login.server)),
                Err(error) => wrong.push(format!("stdout is not a login: {error}")),
            }
        } else if let Some(expected) = &expect.stdout {
            if *expected != stdout {
                wrong.push(format!("stdout is {stdout:?}, expected {expected:?}"));
            }
        } else {
            let is_error = |line: &&str| !line.starts_with("warning: ");
            let error: Vec<&str> = stderr.lines().take_while(is_error).collect();
            if stdout.lines().collect::<Vec<_>>() != error {
                wrong.push(format!("stdout is {stdout:?}, expected the error of stderr"));
            }
        }
    }

    fn check_login(&self, login: &Credential, wrong: &mut Vec<String>) {
        let expect = &self.scenario.expect;
        if expect.user.as_ref().is_some_and(|user| *user != login.username) {
            wrong.push(format!("user name {}, expected {:?}", login.username, expect.user));
        }
        let pull = |place: &str| {
            let (instance, repository) = place.split_once('/').expect("instance/repository");
            self.cloud.login_allows_pull(&login.username, &login.password, instance, repository)
        };
        if let Some(place) = &expect.pulls
            && let Err(refused) = pull(place)
        {
            wrong.push(format!("the login does not pull {place}: {refused:?}"));
        }
        if let Some(place) = &expect.does_not_pull
            && pull(place).is_ok()
        {
            wrong.push(format!("the login pulls {place}"));
        }
        if let Some(place) = &expect.pulls_personal {
            let [account, region, repository] = place.splitn(3, '/').collect::<Vec<_>>()[..] else {
                panic!("account/region/repository")
            };
            let (user, password) = (&login.username, &login.password);
            if let Err(refused) =
                self.cloud.login_allows_personal_pull(user, password, account, region, repository)
            {
                wrong.push(format!("the login does not pull {place}: {refused:?}"));
            }
        }
    }

    pub(super) fn check_secrets(&self, outcome: &Outcome, wrong: &mut Vec<String>) {
        for leak in self.cloud.leaks(&outcome.stderr_text()) {
            wrong.push(format!("stderr gives away {:?} of {}", leak.secret.kind, leak.secret.of));
        }
        for leak in self.cloud.leaks(&String::from_utf8_lossy(&outcome.stdout)) {
            if leak.secret.kind != SecretKind::RegistryPassword {
                wrong.push(format!(
                    "stdout gives away {:?} of {}",
                    leak.secret.kind, leak.secret.of
                ));
            }
        }
        wrong.extend(
            self.cloud.violations().iter().map(|violation| format!("violation: {violation}")),
        );
    }

    pub(super) fn compare(&self, file: &str, is: &str, wrong: &mut Vec<String>) {
        let path = self.folder.join(file);
        let expected = match &self.stderr {
            Some(stderr) if file == "stderr.txt" => stderr.clone(),
            _ => fs::read_to_string(&path).unwrap_or_default(),
        };
        if self.stderr.is_none() && std::env::var_os("BLESS").is_some() {
            if is.is_empty() {
                let _ = fs::remove_file(&path);
            } else {
                fs::write(&path, format!("{is}\n")).unwrap();
            }
        } else if is != expected.trim_end() {
            wrong.push(format!("{file} is\n{is}\n  expected\n{}", expected.trim_end()));
        }
    }
}
