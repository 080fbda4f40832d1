//! The measure of comparison: Amazon's credential helper, with a service of its own on loopback.
//!
//! The service speaks the same TLS as the simulated Alibaba Cloud (rustls, ring, a P-256
//! certificate, HTTP/1.1) and answers `GetAuthorizationToken` alone. It checks and records less, so
//! whatever difference a server makes is in the helper's favour.
//!
//! Not all releases of the helper can be pointed at another endpoint; all honour `HTTPS_PROXY`. So
//! they are led to the service by a proxy on loopback, and the program that they are compared with
//! takes a proxy as well.

use std::error::Error;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::link;
use crate::process::Program;

const HELPER: &str = "docker-credential-ecr-login";
const REGISTRY: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
const SERVICE: &str = "api.ecr.us-east-1.amazonaws.com";

/// The helper, its service, and its home.
pub struct Ecr {
    pub program: Program,
    calls: Arc<AtomicUsize>,
    cache: PathBuf,
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
        let calls = Arc::default();
        let (address, pem) = serve(&calls)?;
        fs::write(&ca, pem)?;
        let proxy = format!("http://{}", link::proxy(address)?);
        let env = [
            ("HOME", home.display().to_string()),
            ("AWS_ACCESS_KEY_ID", "AKIAMADEUPMADEUP0001".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "MadeUpEcrSecretQw7Er5Ty3Ui1Op9As8Df6Gh".to_owned()),
            ("AWS_CA_BUNDLE", ca.display().to_string()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("HTTPS_PROXY", proxy.clone()),
            ("HTTP_PROXY", proxy),
        ];
        let program = Program {
            args: vec!["get".to_owned()],
            env: env.map(|(name, value)| (name.to_owned(), value)).into(),
            stdin: Some(stdin),
            ..Program::new(path)
        };
        let cache = home.join(".ecr/cache.json");
        Ok(Some(Self { program, calls, cache }))
    }

    /// How often the service has been asked.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub fn forget(&self) -> io::Result<()> {
        fs::remove_file(&self.cache)
    }
}

fn serve(calls: &Arc<AtomicUsize>) -> Result<(SocketAddr, String), Box<dyn Error>> {
    let (config, pem) = certificate()?;
    let (config, calls) = (Arc::new(config), Arc::clone(calls));
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (config, calls) = (Arc::clone(&config), Arc::clone(&calls));
            thread::spawn(move || converse(stream, config, &calls));
        }
    });
    Ok((address, pem))
}

fn converse(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    calls: &AtomicUsize,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let mut wire = StreamOwned::new(ServerConnection::new(config)?, stream);
    let mut request = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let length = wire.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        request.extend_from_slice(buffer.get(..length).unwrap_or_default());
        if is_whole(&request) {
            calls.fetch_add(1, Ordering::SeqCst);
            request.clear();
            let body = answer();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1";
            write!(wire, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
            wire.flush()?;
        }
    }
}

/// Whether head and body are there.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    body.len() >= length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
}

/// A login for twelve hours, as long as a real one is.
fn answer() -> String {
    // The password is as long as a real one.
    let token = STANDARD.encode(format!("AWS:{}", "MadeUpPassword".repeat(130)));
    let ends = jiff::Timestamp::now().as_second() + 12 * 60 * 60;
    format!(
        r#"{{"authorizationData":[{{"authorizationToken":"{token}","expiresAt":{ends}.0,"proxyEndpoint":"https://{REGISTRY}"}}]}}"#
    )
}

/// As the simulated cloud has it.
fn certificate() -> Result<(ServerConfig, String), Box<dyn Error>> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "Simulated Amazon");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let server = CertificateParams::new(vec![SERVICE.to_owned()])?;
    let certificate = server.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((config, pem))
}
