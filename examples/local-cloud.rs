//! The main job on a simulated Alibaba Cloud, once for each identity.
//!
//! Starts the cloud of the tests on loopback, runs the real program as a kubelet would (empty
//! environment, request on stdin), and shows request, answer and the calls it took.
//!
//! ```text
//! cargo run --example local-cloud [-- [--stay] [IMAGE]]
//! ```

// An example talks to the person in front of it.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::error::Error;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use simulation::cloud::{Cloud, Description};
use simulation::kubelet::{Exec, encode_request, normalise_image};

const V1: &str = "credentialprovider.kubelet.k8s.io/v1";

/// An image in account 2000000000000002; the cluster is in account 1000000000000001.
const IMAGE: &str = "acme-registry.cn-hangzhou.cr.aliyuncs.com/team/app:v1";

const PROVIDER: &str =
    "acs:ram::1000000000000001:oidc-provider/ack-rrsa-c0000000000000000000000000000000a";

/// What each identity adds to the entry of the registry.
const IDENTITIES: [(&str, &str, &str); 3] = [
    (
        "worker-role",
        "The node's own role (instance metadata), then the role in the registry's account",
        "assumeRoleARN: acs:ram::2000000000000002:role/acr-puller",
    ),
    (
        "rrsa",
        "RRSA: an OIDC token from a file, then the role in the registry's account",
        "rrsaRoleARN: acs:ram::1000000000000001:role/acr-rrsa
    rrsaOIDCProviderRoleARN: acs:ram::1000000000000001:oidc-provider/ack-rrsa-c0000000000000000000000000000000a
    assumeRoleARN: acs:ram::2000000000000002:role/acr-puller",
    ),
    (
        "access-key",
        "An AccessKey of the registry's account; no role needed",
        "customAccessKey: LTAI5tImagePullerOfB0001
    customAccessKeySecret: MadeUpB3pullTk9Dw2Mv7Qz4Xc6Ln0",
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let stay = arguments.iter().any(|argument| argument == "--stay");
    let image =
        arguments.iter().find(|argument| !argument.starts_with('-')).map_or(IMAGE, String::as_str);
    let image =
        normalise_image(image).map_err(|error| format!("`{image}` is no image: {error:?}"))?;

    let program = build()?;
    let cloud = Cloud::start(&Description::standard())?;
    let folder = env::temp_dir().join(format!("local-cloud-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let token =
        cloud.service_account_token(PROVIDER, "kube-system", "aliyun-acr-credential-helper");
    write_private(&folder.join("token"), &token.mint())?;

    for (name, about, identity) in IDENTITIES {
        let path = folder.join(format!("{name}.yaml"));
        write_private(&path, &configuration(&cloud, identity, &folder))?;
        run(&cloud, &program, &path, about, &image)?;
    }

    println!("Try an image of your own:\n");
    println!(
        "  cargo run --example local-cloud -- foo-registry.cn-hangzhou.cr.aliyuncs.com/team/app:v2\n"
    );
    if stay {
        println!("or, while this cloud stays (press Enter to end it), by hand:\n");
        let request = String::from_utf8(encode_request(V1, &image, None, &BTreeMap::new()))?;
        let config = folder.join("worker-role.yaml");
        println!(
            "  echo '{}' | {} --config {}\n",
            request.trim(),
            program.display(),
            config.display()
        );
        io::stdin().read_line(&mut String::new())?;
    }
    fs::remove_dir_all(folder)?;
    Ok(())
}

/// The program itself, built as this example was.
fn build() -> Result<PathBuf, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let name = "aliyun-acr-credential-provider";
    let example = env::current_exe()?;
    let profile = example.parent().and_then(Path::parent).ok_or("no target folder")?;
    let release = profile.ends_with("release");
    let mut build = Command::new(cargo);
    build.args([
        "build",
        "--quiet",
        "--bin",
        name,
        "--manifest-path",
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
    ]);
    if release {
        build.arg("--release");
    }
    if let Some(target) = profile.parent() {
        build.arg("--target-dir").arg(target);
    }
    if !build.status()?.success() {
        return Err("the program does not build".into());
    }
    Ok(profile.join(name))
}

fn configuration(cloud: &Cloud, identity: &str, folder: &Path) -> String {
    format!(
        "rrsa: {{enable: true}}
acr-registry-info:
  - instanceId: cri-acmeprod00000001,cri-fooregistry00001
    regionId: cn-hangzhou
    expireDuration: 3600
    {identity}
credential-provider:
  oidcTokenFile: {}/token
  cacheDir: {}/cache
  endpoints: {{metadata: \"{}\", sts: \"{}\", cr: \"{}\", registry: \"{}\"}}
",
        folder.display(),
        folder.display(),
        cloud.metadata_url(),
        cloud.sts_url(),
        cloud.cr_url(),
        cloud.registry_url(),
    )
}

fn run(
    cloud: &Cloud,
    program: &Path,
    config: &Path,
    about: &str,
    image: &str,
) -> Result<(), Box<dyn Error>> {
    let request = encode_request(V1, image, None, &BTreeMap::new());
    let mut exec = Exec::new(program);
    exec.args = vec!["--config".into(), config.to_string_lossy().into_owned()];
    let before = cloud.calls().len();
    let outcome = exec.run(&request)?;
    println!("== {about}\n");
    println!("request   {}", String::from_utf8(request)?.trim());
    match outcome.answer(V1) {
        Ok(_) => println!("answer    {}", String::from_utf8_lossy(&outcome.stdout).trim()),
        Err(_) => println!("{}, stderr:\n{}", outcome.exit, outcome.stderr_text().trim()),
    }
    println!("calls");
    for call in cloud.call_lines().iter().skip(before) {
        println!("  {call}");
    }
    println!("in {:.0?}\n", outcome.duration);
    let violations = cloud.violations();
    if violations.is_empty() {
        Ok(())
    } else {
        Err(format!("the cloud objects: {violations:?}").into())
    }
}

/// A file that only its owner can read, as the program asks for when it holds an AccessKey.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}
