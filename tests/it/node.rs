//! A node with a cloud, a cache of its own, and a clock that can be moved on.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use simulation::cloud::{Call, Cloud, Hop, SecretKind, standard};
use simulation::kubelet::{Exec, Exit, Outcome, encode_request};

use crate::{PROGRAM, copied, with_warnings};

pub const V1: &str = "credentialprovider.kubelet.k8s.io/v1";
pub const ACME: &str = "acme-registry.cn-hangzhou.cr.aliyuncs.com";
pub const FOO: &str = "foo-registry-registry.cn-hangzhou.cr.aliyuncs.com";

/// What one pull came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    pub password: String,
    /// Seconds.
    pub cache: i64,
    pub warnings: String,
}

impl Pulled {
    /// A login of an hour that was just issued. Some seconds may have gone by since its session was, on
    /// a busy machine.
    pub fn is_whole(&self) -> bool {
        (3540..=3570).contains(&self.cache)
    }
}

pub struct Node {
    pub cloud: Cloud,
    pub folder: PathBuf,
    /// What `credential-provider` has beside the endpoints.
    pub settings: String,
    /// Seconds that the machine has been up longer than it has.
    later: i64,
    environment: Vec<(String, String)>,
}

impl Node {
    /// A node of its own, and a cloud that differs from the standard one as the overlay says.
    pub fn new(overlay: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("cache-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let settings = format!("  cacheDir: {}/cache\n", folder.display());
        let node = Self {
            cloud: Cloud::with(overlay),
            folder,
            settings,
            later: 0,
            environment: Vec::new(),
        };
        node.configure(&entry(ACME, standard::ACME, standard::PULLER));
        node
    }

    /// Writes the configuration: these entries.
    pub fn configure(&self, entries: &str) {
        self.configure_all(&format!("acr-registry-info:\n{entries}"));
    }

    /// Writes the configuration: everything but the endpoints and `settings`.
    pub fn configure_all(&self, text: &str) {
        let Self { cloud, settings, .. } = self;
        let [metadata, sts, cr, registry] =
            [cloud.metadata_url(), cloud.sts_url(), cloud.cr_url(), cloud.registry_url()];
        let text = format!(
            "{text}credential-provider:\n{settings}  endpoints: {{metadata: \"{metadata}\", sts: \"{sts}\", cr: \"{cr}\", registry: \"{registry}\"}}\n"
        );
        fs::write(self.config(), text).unwrap();
        fs::set_permissions(self.config(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.folder.join("config.yaml")
    }

    pub fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }

    /// The root of a machine whose kubelet runs the program as it should: its flags name `provider`,
    /// which is written beside the configuration, and the program gets `config`.
    pub fn machine(&self, provider: &Path, config: &Path) -> String {
        const NAME: &str = "aliyun-acr-credential-provider";
        let root = self.folder.join("machine");
        let (process, bin) = (root.join("proc/1"), self.folder.join("bin"));
        fs::create_dir_all(&process).unwrap();
        fs::write(process.join("comm"), "kubelet\n").unwrap();
        fs::write(process.join("environ"), "").unwrap();
        symlink("/", process.join("root")).unwrap();
        let flag = "--image-credential-provider";
        let line = format!(
            "kubelet\0{flag}-config={}\0{flag}-bin-dir={}\0",
            provider.display(),
            bin.display()
        );
        fs::write(process.join("cmdline"), line).unwrap();
        fs::create_dir(&bin).unwrap();
        copied(PROGRAM, bin.join(NAME));
        let text = format!(
            "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n  - name: {NAME}\n    apiVersion: {V1}\n    matchImages: [{ACME}]\n    defaultCacheDuration: 0s\n    args: [--config, \"{}\"]\n",
            config.display()
        );
        fs::write(self.folder.join("provider.yaml"), text).unwrap();
        root.display().to_string()
    }

    /// The names of the files in the cache that hold something.
    pub fn kept(&self, kind: &str) -> Vec<PathBuf> {
        let Ok(files) = fs::read_dir(self.cache()) else { return Vec::new() };
        let files = files.map(|file| file.unwrap().path());
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut kept: Vec<PathBuf> = files
            .filter(|path| name(path).contains(&format!("-{kind}-")) && !name(path).contains('.'))
            .collect();
        kept.sort();
        kept
    }

    /// Every file of the cache: name, time of its last change, and contents.
    pub fn kept_as_it_is(&self) -> Vec<(PathBuf, std::time::SystemTime, Vec<u8>)> {
        let Ok(files) = fs::read_dir(self.cache()) else { return Vec::new() };
        let file = |path: PathBuf| {
            let changed = fs::metadata(&path).unwrap().modified().unwrap();
            let contents = fs::read(&path).unwrap();
            (path, changed, contents)
        };
        let mut files: Vec<_> = files.map(|entry| file(entry.unwrap().path())).collect();
        files.sort();
        files
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Lets time go by, for the machine's boot clock and the cloud alike.
    pub fn wait(&mut self, seconds: i64) {
        self.later += seconds;
        self.cloud.advance(seconds);
    }

    /// The program with some arguments, as it is run on this node at its time.
    pub fn exec(&self, arguments: &[&str]) -> Exec {
        let config = self.config().to_string_lossy().into_owned();
        let ours = ["--config", &config].into_iter().chain(arguments.iter().copied());
        let later = self.later.to_string();
        let mut exec = Exec::new(if self.later == 0 { PROGRAM } else { "/usr/bin/unshare" });
        let clock = ["--time", "--boottime", &later, PROGRAM];
        let clock = clock.into_iter().filter(|_| self.later != 0);
        exec.args = clock.chain(ours).map(str::to_owned).collect();
        exec.kubelet_env = with_warnings();
        exec.config_env.clone_from(&self.environment);
        exec
    }

    /// The program as docker runs it on this node at its time. The configuration comes by its variable,
    /// as a client hands on its own environment.
    pub fn docker_helper(&self, verb: &str) -> Exec {
        let link = self.folder.join("docker-credential-acr");
        // Another thread may have made it.
        let _ = symlink(PROGRAM, &link);
        let link = link.display().to_string();
        let later = self.later.to_string();
        let mut exec = Exec::new(if self.later == 0 { &link } else { "/usr/bin/unshare" });
        let clock = ["--time", "--boottime", &later, &link];
        let clock = clock.into_iter().filter(|_| self.later != 0);
        exec.args = clock.chain([verb]).map(str::to_owned).collect();
        let config = self.config().display().to_string();
        exec.config_env = vec![("ACR_CREDENTIAL_PROVIDER_CONFIG".to_owned(), config)];
        exec
    }

    pub fn ask(&self, host: &str) -> Outcome {
        self.exec(&[]).run(&request(host)).unwrap()
    }

    /// Asks for a login and checks that it pulls.
    pub fn pull(&self, host: &str) -> Pulled {
        self.pulled(host, &self.ask(host))
    }

    pub fn pulled(&self, host: &str, outcome: &Outcome) -> Pulled {
        let stderr = without_clock(&outcome.stderr_text());
        let answer = outcome.answer(V1).unwrap_or_else(|why| panic!("{why:?}\n{stderr}"));
        let auth = answer.auth.unwrap();
        let login = auth.get(host).unwrap();
        let instance = if host == FOO { standard::FOO_REGISTRY } else { standard::ACME };
        let (user, password) = (&login.username, &login.password);
        self.cloud.login_allows_pull(user, password, instance, "team/app").unwrap();
        let cache = answer.cache_duration.unwrap().nanoseconds() / 1_000_000_000;
        Pulled { password: password.clone(), cache, warnings: stderr }
    }

    /// The first line of stderr of a pull that fails.
    pub fn refused(&self, host: &str) -> (i32, String) {
        let outcome = self.ask(host);
        assert!(outcome.stdout.is_empty(), "{}", String::from_utf8_lossy(&outcome.stdout));
        let Exit::Code(code) = outcome.exit else { panic!("{}", outcome.exit) };
        (code, outcome.stderr_text().lines().next().unwrap_or_default().to_owned())
    }

    /// `refresh`: its exit code and its output, both streams.
    pub fn refresh(&self) -> (i32, String) {
        let outcome = self.exec(&["refresh"]).run(&[]).unwrap();
        let Exit::Code(code) = outcome.exit else { panic!("{}", outcome.exit) };
        let told = without_clock(&outcome.stderr_text());
        (code, format!("{}{told}", String::from_utf8_lossy(&outcome.stdout)))
    }

    /// Many processes at once, as a kubelet starts them for as many images.
    pub fn crowd(&self, number: usize, host: &str) -> Vec<Outcome> {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..number).map(|_| scope.spawn(|| self.ask(host))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    /// A process that is left to itself, to be stopped or killed.
    pub fn start(&self, host: &str) -> Child {
        self.start_with(&request(host))
    }

    pub fn start_with(&self, request: &[u8]) -> Child {
        let exec = self.exec(&[]);
        let mut child = Command::new(&exec.program)
            .args(&exec.args)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // One that is already dead takes nothing.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), request);
        child
    }

    /// How often a hop was called. Only the boot clock can be moved on for one process: the wall
    /// clock stays behind the cloud's, so the first time stamp is refused and not counted here.
    pub fn calls(&self, hop: Hop) -> usize {
        let refused = "InvalidTimeStamp.Expired";
        let calls = self.cloud.calls();
        let counted = |call: &&Call| call.hop == hop && !call.to_string().contains(refused);
        calls.iter().filter(counted).count()
    }

    /// How often there was an `AssumeRole`, and a login asked for.
    pub fn assumed_and_fetched(&self) -> (usize, usize) {
        (self.calls(Hop::AssumeRole), self.calls(Hop::GetAuthorizationToken))
    }

    /// Whether any file of the cache has a secret of some kind in it.
    pub fn keeps(&self, kind: SecretKind) -> bool {
        let Ok(files) = fs::read_dir(self.cache()) else { return false };
        let read = |path: PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        files
            .map(|file| read(file.unwrap().path()))
            .any(|text| self.cloud.leaks(&text).iter().any(|leak| leak.secret.kind == kind))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let violations = self.cloud.violations();
        let _ = fs::remove_dir_all(&self.folder);
        if !thread::panicking() {
            assert!(violations.is_empty(), "{violations:?}");
        }
    }
}

/// What is told of the wall clock is the test's own doing.
fn without_clock(stderr: &str) -> String {
    let told = stderr.lines().filter(|line| !line.contains("this machine's clock is off"));
    told.fold(String::new(), |told, line| told + line + "\n")
}

/// An entry that names its host and the role to assume.
pub fn entry(host: &str, instance: &str, role: &str) -> String {
    format!(
        "  - instanceId: {instance}\n    regionId: cn-hangzhou\n    domains: {host}\n    assumeRoleARN: {role}\n"
    )
}

/// The same by RRSA: a role in the cluster's account, and then the one in the registry's.
pub fn across_accounts(role: &str) -> String {
    let acme = entry(ACME, standard::ACME, standard::PULLER);
    format!(
        "{acme}    rrsaRoleARN: {role}\n    rrsaOIDCProviderRoleARN: {}\n",
        standard::OIDC_PROVIDER
    )
}

pub fn request(host: &str) -> Vec<u8> {
    encode_request(V1, &format!("{host}/team/app"), None, &BTreeMap::new())
}
