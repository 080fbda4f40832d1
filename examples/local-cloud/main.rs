//! The program at work on a simulated Alibaba Cloud, once for each identity.
//!
//! Starts the cloud of the tests on loopback and runs the real program as a kubelet does: empty
//! environment, request on stdin. Shows configuration, request, answer and the calls to the cloud,
//! and lets the simulated registry judge the login. Fails if a login is missing or does not pull.
//!
//! ```text
//! cargo run --example local-cloud                  every identity
//! cargo run --example local-cloud -- IMAGE         an image of your choice, with the worker role
//! cargo run --example local-cloud -- --stay        leaves the cloud running, for runs by hand
//! ```

// An example talks to the person in front of it.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

mod identities;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;
use std::{env, fs};

use identities::{ALL_REGISTRIES, IDENTITIES, Identity, NEXT_IMAGE, Pulls};
use simulation::cloud::{Cloud, Description, standard};
use simulation::kubelet::{Credential, Exec, Outcome, encode_request, normalise_image};

type Failure = Box<dyn Error>;

const NAME: &str = "aliyun-acr-credential-provider";

const V1: &str = "credentialprovider.kubelet.k8s.io/v1";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match shown(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nlocal-cloud: FAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn shown(arguments: &[String]) -> Result<(), Failure> {
    let stay = arguments.iter().any(|argument| argument == "--stay");
    let image = arguments.iter().find(|argument| !argument.starts_with('-'));
    if let Some(unknown) = arguments.iter().find(|a| a.starts_with('-') && *a != "--stay") {
        return Err(format!("unknown option `{unknown}`; known is `--stay`").into());
    }
    println!("The program on a simulated Alibaba Cloud, on this machine's loopback alone.");
    println!("All accounts, keys and passwords below are made up.\n");
    let stage = Stage::new(build()?)?;
    match image {
        Some(image) => stage.one(image)?,
        None => stage.every_identity()?,
    }
    next_steps();
    if stay {
        stage.stay()?;
    }
    Ok(())
}

/// The program itself, built as this example was. Cargo shows its progress.
fn build() -> Result<PathBuf, Failure> {
    println!("Building the program. In a fresh clone that takes about a minute.\n");
    let began = Instant::now();
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let example = env::current_exe()?;
    let profile = example.parent().and_then(Path::parent).ok_or("no target folder")?;
    let target = profile.parent().ok_or("no target folder")?;
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let mut build = Command::new(cargo);
    build.args(["build", "--locked", "--bin", NAME, "--manifest-path", manifest]);
    build.arg("--target-dir").arg(target);
    if profile.ends_with("release") {
        build.arg("--release");
    }
    // `cargo run` describes this package in variables. A build script that looks at them would run
    // again, and crates that are built already would be built again.
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" {
            build.env_remove(name);
        }
    }
    if !build.status()?.success() {
        return Err("the program does not build; cargo says why above".into());
    }
    println!("\nBuilt in {:.0?}.\n", began.elapsed());
    Ok(profile.join(NAME))
}

/// The cloud, the program, and a folder for configurations, token and cache.
struct Stage {
    cloud: Cloud,
    program: PathBuf,
    folder: PathBuf,
}

impl Stage {
    fn new(program: PathBuf) -> Result<Self, Failure> {
        let cloud = Cloud::start(&Description::standard())?;
        let folder = env::temp_dir().join(format!("local-cloud-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder)?;
        let stage = Self { cloud, program, folder };
        let token = stage.token("kube-system", "aliyun-acr-credential-helper");
        write_private(&stage.folder.join("token"), &token)?;
        Ok(stage)
    }

    /// A service account token of the cluster.
    fn token(&self, namespace: &str, name: &str) -> String {
        self.cloud.service_account_token(standard::OIDC_PROVIDER, namespace, name).mint()
    }

    /// Goes through all identities even if one gets no login.
    fn every_identity(&self) -> Result<(), Failure> {
        let mut without = Vec::new();
        for (number, identity) in IDENTITIES.iter().enumerate() {
            println!("=== {} of {}: {}\n", number + 1, IDENTITIES.len(), identity.title);
            println!("{}\n", identity.about);
            if let Err(failure) = self.identity(identity) {
                println!("no login that pulls: {failure}\n");
                without.push(identity.title);
            }
        }
        if !without.is_empty() {
            return Err(format!("no login that pulls with: {}", without.join("; ")).into());
        }
        println!("=== Shown\n");
        println!(
            "{} identities, {} calls to the simulated cloud. Each identity got a login, and the",
            IDENTITIES.len(),
            self.cloud.calls().len()
        );
        println!("simulated registry accepted every one for its image. No image was pulled.\n");
        Ok(())
    }

    fn identity(&self, identity: &Identity) -> Result<(), Failure> {
        let config = self.configure(identity.name, identity.configuration, identity.token_file)?;
        let token = identity.pod.map(|(namespace, name)| self.token(namespace, name));
        let login = self.run(&config, identity.image, token.as_deref())?;
        let (user, password) = (&login.username, &login.password);
        let (verdict, place) = match identity.pulls {
            Pulls::Instance(instance, repository) => (
                self.cloud.login_allows_pull(user, password, instance, repository),
                format!("{repository} of {instance}"),
            ),
            Pulls::Personal(account, region, repository) => (
                self.cloud.login_allows_personal_pull(user, password, account, region, repository),
                format!("{repository} of account {account} in {region}"),
            ),
        };
        verdict.map_err(|refused| format!("the registry refuses it: {refused:?}"))?;
        println!("registry: this login pulls {place}\n");
        Ok(())
    }

    /// An image from the command line.
    fn one(&self, image: &str) -> Result<(), Failure> {
        let image = normalise_image(image)
            .map_err(|error| format!("`{image}` is not an image name: {error:?}"))?;
        println!("=== {image}, with the worker role\n");
        let config = self.configure("image", ALL_REGISTRIES, false)?;
        self.run(&config, &image, None)?;
        println!("=== Shown\n\nThe program got a login for this image. No image was pulled.\n");
        Ok(())
    }

    /// Writes a configuration and shows it.
    fn configure(&self, name: &str, entries: &str, token: bool) -> Result<PathBuf, Failure> {
        let Self { cloud, folder, .. } = self;
        let token = token.then(|| format!("  oidcTokenFile: {}/token\n", folder.display()));
        let path = folder.join(format!("{name}.yaml"));
        let text = format!(
            "{entries}credential-provider:
{token}  cacheDir: {folder}/cache-{name}
  # On a real node there are no endpoints here: the program knows those of the cloud.
  endpoints: {{metadata: \"{}\", sts: \"{}\", cr: \"{}\", registry: \"{}\"}}
",
            cloud.metadata_url(),
            cloud.sts_url(),
            cloud.cr_url(),
            cloud.registry_url(),
            token = token.unwrap_or_default(),
            folder = folder.display(),
        );
        write_private(&path, &text)?;
        println!("configuration: {}\n{}", path.display(), indented(&text));
        Ok(path)
    }

    /// Runs the program and shows what went in, what came out and what it asked for.
    fn run(&self, config: &Path, image: &str, token: Option<&str>) -> Result<Credential, Failure> {
        let request = encode_request(V1, image, token, &BTreeMap::new());
        let mut exec = Exec::new(&self.program);
        exec.args = vec!["--config".to_owned(), config.display().to_string()];
        let before = self.cloud.calls().len();
        let outcome = exec.run(&request)?;
        println!("request (stdin):\n{}", indented(&pretty(&request)?));
        let answer = answer(&outcome);
        println!("calls to the cloud:\n{}", indented(&self.calls_since(before)));
        let violations = self.cloud.violations();
        if !violations.is_empty() {
            return Err(format!("the simulated cloud objects: {violations:?}").into());
        }
        answer
    }

    fn calls_since(&self, before: usize) -> String {
        if self.cloud.calls().len() == before {
            return "none".to_owned();
        }
        let mut text = String::new();
        for call in self.cloud.call_lines().iter().skip(before) {
            text += call;
            // Whoever asks a registry without a login gets 401, and the header says whose it is.
            if call.starts_with("GET /v2/") && call.contains("401") {
                text += "\n    (401 is expected here: this request has no login, and the header of the\n     \
                         answer names the instance)";
            }
            text.push('\n');
        }
        text
    }

    fn stay(&self) -> Result<(), Failure> {
        let identity = &IDENTITIES[0];
        let request = encode_request(V1, identity.image, None, &BTreeMap::new());
        self.configure(identity.name, identity.configuration, identity.token_file)?;
        println!("The cloud is running. In another terminal:\n");
        println!(
            "  echo '{}' | {} --config {}\n",
            String::from_utf8(request)?.trim(),
            self.program.display(),
            self.folder.join(format!("{}.yaml", identity.name)).display(),
        );
        println!("Press Enter here to end it.");
        io::stdin().read_line(&mut String::new())?;
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn next_steps() {
    println!("Next, an image of your choice:\n");
    println!("  cargo run --example local-cloud -- {NEXT_IMAGE}\n");
    println!("or leave the cloud running, for runs of the program by hand:\n");
    println!("  cargo run --example local-cloud -- --stay\n");
}

/// The login of an answer that the kubelet accepts.
fn answer(outcome: &Outcome) -> Result<Credential, Failure> {
    println!("answer (stdout; {} after {:.0?}):", outcome.exit, outcome.duration);
    let stderr = outcome.stderr_text();
    let Ok(answer) = outcome.answer(V1) else {
        println!("  nothing\n\nstderr:\n{}", indented(&stderr));
        let first = stderr.lines().next().unwrap_or("nothing on stderr");
        return Err(format!("{}: {first}", outcome.exit).into());
    };
    println!("{}", indented(&pretty(&outcome.stdout)?));
    if !stderr.is_empty() {
        println!("stderr:\n{}", indented(&stderr));
    }
    let login = answer.auth.unwrap_or_default().into_values().next();
    login.ok_or_else(|| "the answer has no login; no entry covers this image".into())
}

/// JSON over several lines, with the service account token cut short.
fn pretty(json: &[u8]) -> Result<String, Failure> {
    let mut document: serde_json::Value = serde_json::from_slice(json)?;
    if let Some(serde_json::Value::String(token)) = document.get_mut("serviceAccountToken") {
        let start: String = token.chars().take(24).collect();
        *token = format!("{start}... ({} characters, cut short here)", token.len());
    }
    Ok(serde_json::to_string_pretty(&document)?)
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |text, line| text + "  " + line + "\n")
}

/// A file that only its owner can read. The program asks for that if the file has an AccessKey.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
