//! Runs the folders of `tests/scenarios`: each has a request, a configuration, a cloud and what must
//! happen. `tests/scenarios/README.md` describes the files.
//!
//! In every run stdout must be empty, or survive the kubelet's strict decoding, or be what docker and
//! its like expect of a credential helper. No secret may be given away, and the cloud may not see
//! anything that a correct client never does.

mod configuration;
mod description;
mod diagnosed;
mod verdict;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::panic::RefUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use simulation::cloud::{Cloud, Description};
use simulation::kubelet::{Exec, encode_request};

use crate::{PROGRAM, TESTS, with_warnings};
use description::{Scenario, Token};

/// What the kubelet asks for where a scenario names no other image.
const IMAGE: &str = "acme-registry.cn-hangzhou.cr.aliyuncs.com/team/app";

pub struct Run {
    folder: PathBuf,
    scenario: Scenario,
    /// The text of the configuration file, if there is one.
    config: Option<String>,
    /// What stderr must be, in place of `stderr.txt`.
    stderr: Option<String>,
    cloud: Cloud,
    /// Those with a `cr` endpoint of their own (`cr-per-region` of the cloud), `${cr:<region>}`.
    regions: Vec<String>,
    /// Scratch space, `${dir}` in all files.
    dir: PathBuf,
}

/// Runs all folders, or those whose name contains `SCENARIO`. With `BLESS=1` stderr and calls are
/// written instead of compared.
#[test]
fn scenarios() {
    let folders = folders();
    let count = folders.len();
    let failures = in_parallel(folders, |folder| Run::prepare(folder, "scenarios").go());
    println!("{count} scenarios run");
    assert!(
        failures.is_empty(),
        "{} of {count} scenarios failed:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

/// All folders, or those whose name contains `SCENARIO`.
fn folders() -> Vec<(String, PathBuf)> {
    let only = std::env::var("SCENARIO").unwrap_or_default();
    let mut folders: Vec<(String, PathBuf)> = fs::read_dir(format!("{TESTS}/scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path))
        .filter(|(name, path)| path.is_dir() && name.contains(&only))
        .collect();
    folders.sort();
    assert!(!folders.is_empty(), "no scenario is named like `{only}`");
    folders
}

/// Most of a run is waiting, so more of them at a time than there are cores. What is wrong comes
/// back, with the name of the case.
pub fn in_parallel<Case: Send + Sync + RefUnwindSafe>(
    cases: Vec<(String, Case)>,
    run: impl Fn(&Case) -> Vec<String> + Sync + RefUnwindSafe,
) -> Vec<String> {
    let queue = Mutex::new(cases.into_iter());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let Some((name, case)) = queue.lock().unwrap().next() else { return };
                    let wrong = std::panic::catch_unwind(|| run(&case))
                        .unwrap_or_else(|_| vec!["the test itself panicked, see above".to_owned()]);
                    if !wrong.is_empty() {
                        failures.lock().unwrap().push(format!("{name}:\n  {}", wrong.join("\n  ")));
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap()
}

impl Run {
    /// `place` is the folder beside the test that the scratch space is in.
    pub fn prepare(folder: &Path, place: &str) -> Self {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(folder.join("scenario.yaml"))
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let scenario: Scenario =
            serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(!scenario.about.trim().is_empty(), "{name} says what it is about");
        let config = fs::read_to_string(folder.join("config.yaml")).ok();
        assert!(config.is_none() || scenario.config.is_none(), "{name} has one configuration");
        let changes = !scenario.entry.is_empty() || !scenario.settings.is_empty();
        assert!(!changes || scenario.config.is_some(), "{name} changes a standard configuration");
        let standard = |name: &String| configuration::standard(name, &scenario);
        let config = config.or_else(|| scenario.config.as_ref().map(standard));
        let world = match &scenario.cloud {
            None => Description::standard(),
            Some(different) => {
                Description::standard().merged(different).unwrap_or_else(|e| panic!("{name}: {e}"))
            }
        };
        let cloud = Cloud::start(&world).unwrap_or_else(|e| panic!("{name}: {e}"));
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(place).join(&name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let instances = world.accounts.values().flat_map(|account| account.instances.values());
        let regions: BTreeSet<String> = instances.map(|instance| instance.region.clone()).collect();
        let regions = regions.into_iter().filter(|_| world.cr_per_region).collect();
        let (folder, stderr) = (folder.to_owned(), None);
        Self { folder, scenario, config, stderr, cloud, regions, dir }
    }

    /// The same with another configuration file, which may warn, and for another image.
    pub fn with(
        mut self,
        config: &str,
        mode: Option<&str>,
        warning: Option<&str>,
        image: Option<&str>,
    ) -> Self {
        self.config = Some(config.to_owned());
        self.scenario.config_mode = mode.map(str::to_owned);
        let warning = warning.map(|warning| format!("warning: <dir>/config.yaml:{warning}"));
        self.stderr = Some(warning.unwrap_or_default());
        if let Some(image) = image {
            self.scenario.image = Some(image.to_owned());
            self.scenario.expect.auth = image.split('/').next().map(str::to_owned);
        }
        self
    }

    /// Runs the program; what is wrong comes back.
    pub fn go(&self) -> Vec<String> {
        let (exec, request) = self.exec();
        let outcome = exec.run(request.as_bytes()).unwrap();
        let mut wrong = Vec::new();
        self.check_exit(&outcome, &mut wrong);
        if self.scenario.program.is_some() {
            self.check_helper(&outcome, &mut wrong);
        } else {
            self.check_answer(&request, &outcome, &mut wrong);
        }
        self.check_secrets(&outcome, &mut wrong);
        self.compare("stderr.txt", &self.without_chance(&outcome.stderr_text()), &mut wrong);
        if !self.scenario.expect.any_calls {
            self.compare("calls.txt", &self.cloud.call_lines().join("\n"), &mut wrong);
        }
        wrong
    }

    /// The program, its surroundings prepared, and the request for it.
    fn exec(&self) -> (Exec, String) {
        if let Some(token) = &self.scenario.token_file {
            fs::write(self.dir.join("token"), self.mint(token) + "\n").unwrap();
        }
        if let Some(profiles) = &self.scenario.profiles {
            let text = profiles.as_str().map_or_else(|| profiles.to_string(), str::to_owned);
            let path = self.dir.join("aliyun.json");
            fs::write(&path, self.filled(&text)).unwrap();
            let mode = self.scenario.profiles_mode.as_deref().unwrap_or("600");
            let mode = u32::from_str_radix(mode, 8).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        if let Some(pem) = self.cloud.ca_pem() {
            fs::write(self.dir.join("ca.pem"), pem).unwrap();
        }
        let mut exec = Exec::new(PROGRAM);
        exec.args = self.arguments();
        if let Some(name) = &self.scenario.program {
            exec.program = self.dir.join(name);
            symlink(PROGRAM, &exec.program).unwrap();
            exec.kubelet_env = self.variable();
        } else {
            exec.kubelet_env = with_warnings();
        }
        if let Some(user) = self.scenario.user {
            // One that exists in a namespace alone, and owns there what the test has made.
            let user = [format!("--map-user={user}"), format!("--map-group={user}")];
            let program = exec.program.display().to_string();
            exec.program = "/usr/bin/unshare".into();
            let before = ["--user".to_owned()].into_iter().chain(user).chain([program]);
            exec.args = before.chain(exec.args).collect();
        }
        let given = self.scenario.env.iter();
        exec.config_env = given.map(|(name, value)| (name.clone(), self.filled(value))).collect();
        (exec, self.request())
    }

    /// A client hands on its own environment, so a credential helper's configuration is named there.
    fn variable(&self) -> Vec<(String, String)> {
        if self.config.is_none() || self.scenario.config_at.is_some() {
            return Vec::new();
        }
        let name = "ACR_CREDENTIAL_PROVIDER_CONFIG".to_owned();
        vec![(name, self.config_path().display().to_string())]
    }

    /// As a kubelet of today writes it, unless the folder has another one.
    fn request(&self) -> String {
        let Scenario { image, annotations, pod_token, .. } = &self.scenario;
        if let Some(stdin) = &self.scenario.stdin {
            return stdin.clone();
        }
        let token = pod_token.as_ref().map(|token| self.mint(token));
        let Ok(request) = fs::read_to_string(self.folder.join("request.json")) else {
            let version = "credentialprovider.kubelet.k8s.io/v1";
            let image = image.as_deref().unwrap_or(IMAGE);
            let request = encode_request(version, image, token.as_deref(), annotations);
            return String::from_utf8(request).unwrap();
        };
        let said_twice = image.is_some() || token.is_some() || !annotations.is_empty();
        assert!(!said_twice, "{}: request.json has it all", self.folder.display());
        request
    }

    fn arguments(&self) -> Vec<String> {
        let given = self.scenario.args.as_ref();
        let given = given.map(|args| args.iter().map(|arg| self.filled(arg)).collect());
        let Some(config) = &self.config else { return given.unwrap_or_default() };
        let path = self.config_path();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let config = configuration::with_own_cache(config);
        fs::write(&path, self.filled(&config)).unwrap();
        let mode = self.scenario.config_mode.as_deref().unwrap_or("600");
        let mode = u32::from_str_radix(mode, 8).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let finds_it = self.scenario.program.is_some() || self.scenario.config_at.is_some();
        let path = path.to_string_lossy().into_owned();
        let named = if finds_it { Vec::new() } else { vec!["--config".to_owned(), path] };
        given.unwrap_or(named)
    }

    fn config_path(&self) -> PathBuf {
        self.dir.join(self.scenario.config_at.as_deref().unwrap_or("config.yaml"))
    }

    fn mint(&self, token: &Token) -> String {
        let (namespace, name) = token.service_account.split_once('/').expect("namespace/name");
        let mut minted = self.cloud.service_account_token(&token.provider, namespace, name);
        if let Some(audience) = &token.audience {
            minted = minted.audience(audience);
        }
        if let Some(issuer) = &token.issuer {
            minted = minted.issuer(issuer);
        }
        if let Some(life) = token.life {
            minted = minted.life(life);
        }
        if let Some(ago) = token.issued_ago {
            minted = minted.issued_ago(ago);
        }
        minted.mint()
    }

    /// The addresses of this run's cloud, by name.
    fn places(&self) -> Vec<(String, String)> {
        let fixed = [
            ("metadata", self.cloud.metadata_url()),
            ("sts", self.cloud.sts_url()),
            ("cr", self.cloud.cr_url()),
            ("registry", self.cloud.registry_url()),
            ("sink", self.cloud.sink_url()),
            ("dir", self.dir.to_string_lossy().into_owned()),
        ];
        let fixed = fixed.map(|(name, value)| (name.to_owned(), value));
        let regional = |region: &String| (format!("cr:{region}"), self.cloud.cr_url_of(region));
        fixed.into_iter().chain(self.regions.iter().map(regional)).collect()
    }

    fn filled(&self, text: &str) -> String {
        self.places().iter().fold(text.to_owned(), |text, (name, value)| {
            let host = value.split_once("://").map_or(value.as_str(), |(_, host)| host);
            text.replace(&format!("${{{name}}}"), value).replace(&format!("${{{name}-host}}"), host)
        })
    }

    /// Puts names in place of what differs from run to run.
    fn without_chance(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for call in self.cloud.calls() {
            text = text.replace(&call.request_id, "<request id>");
        }
        for (name, value) in self.places() {
            let host = value.split_once("://").map_or(value.as_str(), |(_, host)| host);
            text = text.replace(host, &format!("<{name}>"));
        }
        let line = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let shown = |(at, word): (usize, &&str)| {
                let before = at.checked_sub(1).map_or("", |before| words[before]);
                self.shown(before, word, words.get(at + 1).copied().unwrap_or_default())
            };
            words.iter().enumerate().map(shown).collect::<Vec<_>>().join(" ")
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    /// A word of stderr between two others, or a name for what differs from run to run. Seconds of
    /// a clock can be one off, and tries and waits are only shown where calls are compared.
    fn shown(&self, before: &str, word: &str, after: &str) -> String {
        let bare = word.trim_end_matches([',', ';']);
        let is_time = bare.len() >= 20 && bare.ends_with('Z') && bare.as_bytes()[10] == b'T';
        let number = word.parse::<i64>();
        let by_chance = self.scenario.expect.any_calls;
        match number {
            _ if is_time || before == "took" => "<time>".to_owned(),
            Ok(seconds) if after.starts_with("second") => {
                format!("{}", (seconds + 5).div_euclid(10) * 10)
            }
            Ok(_) if after == "ms" => "<n>".to_owned(),
            Ok(_) if by_chance && after.starts_with("tr") => "<n>".to_owned(),
            _ if by_chance && before == "within" => "<time>".to_owned(),
            _ if by_chance && before.parse::<i64>().is_ok() => word.replace("try", "tries"),
            _ => word.to_owned(),
        }
    }
}
