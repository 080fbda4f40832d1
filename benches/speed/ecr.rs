//! The measure of comparison: Amazon's credential helper, with a service of its own on loopback.
//!
//! Not all releases of the helper can be pointed at another endpoint; all honour `HTTPS_PROXY`. So
//! they are led to the service by `CONNECT`, and the program that they are compared with is as well.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use crate::origin::Origin;
use crate::process::{Cost, Program};

const HELPER: &str = "docker-credential-ecr-login";
const REGISTRY: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
const SERVICE: &str = "api.ecr.us-east-1.amazonaws.com";

/// As long as a real login is good, in seconds.
const LIFE: i64 = 12 * 60 * 60;

/// The helper, its service, and its home.
pub struct Ecr {
    pub program: Program,
    pub service: Origin,
    home: PathBuf,
}

impl Ecr {
    /// None where the helper is not installed.
    pub fn start(folder: &Path, search_path: &str) -> Result<Option<Self>, Box<dyn Error>> {
        let mut places = search_path.split(':').map(|folder| Path::new(folder).join(HELPER));
        let Some(path) = places.find(|path| path.is_file()) else { return Ok(None) };
        let home = folder.join("ecr-home");
        fs::create_dir_all(&home)?;
        let (ca, stdin) = (folder.join("ecr-ca.pem"), folder.join("ecr-request"));
        fs::write(&stdin, format!("https://{REGISTRY}\n"))?;
        let service = Origin::start(SERVICE, answer)?;
        fs::write(&ca, &service.authority)?;
        let env = [
            ("HOME", home.display().to_string()),
            ("AWS_ACCESS_KEY_ID", "AKIAMADEUPMADEUP0001".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "MadeUpEcrSecretQw7Er5Ty3Ui1Op9As8Df6Gh".to_owned()),
            ("AWS_CA_BUNDLE", ca.display().to_string()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("HTTPS_PROXY", service.proxy()),
            ("HTTP_PROXY", service.proxy()),
        ];
        let program = Program {
            args: vec!["get".to_owned()],
            env: env.map(|(name, value)| (name.to_owned(), value)).into(),
            stdin: Some(stdin),
            ..Program::new(path)
        };
        Ok(Some(Self { program, service, home }))
    }

    /// Runs the helper. Why it fails is in its log alone.
    pub fn cost(&self) -> Result<Cost, Box<dyn Error>> {
        self.program.cost().map_err(|error| {
            let log = fs::read_to_string(self.home.join(".ecr/log/ecr-login.log"));
            let log = log.unwrap_or_default();
            format!("{error}; its log ends: {}", log.lines().next_back().unwrap_or_default()).into()
        })
    }

    /// Empties its cache.
    pub fn forget(&self) -> io::Result<()> {
        fs::remove_file(self.home.join(".ecr/cache.json"))
    }
}

fn answer(now: Timestamp) -> String {
    // The password is as long as a real one.
    let token = STANDARD.encode(format!("AWS:{}", "MadeUpPassword".repeat(130)));
    let ends = now.as_second() + LIFE;
    format!(
        r#"{{"authorizationData":[{{"authorizationToken":"{token}","expiresAt":{ends}.0,"proxyEndpoint":"https://{REGISTRY}"}}]}}"#
    )
}
