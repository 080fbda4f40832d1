//! A TLS server on loopback that answers every request alike, and counts them.
//!
//! Both contestants of the comparison fetch from one of these, so that the server's part is the
//! same for both: rustls with ring, a P-256 certificate, HTTP/1.1, an answer in one piece. It is its
//! own proxy: every connection begins with `CONNECT`.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub struct Origin {
    pub address: SocketAddr,
    /// The authority to be trusted, as PEM.
    pub authority: String,
    calls: Arc<AtomicUsize>,
}

impl Origin {
    /// Serves under a name; `answer` makes the body, in JSON, from the present time.
    pub fn start(name: &str, answer: fn(Timestamp) -> String) -> Result<Self, Box<dyn Error>> {
        let (config, authority) = certificate(name)?;
        let config = Arc::new(config);
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, counter) = (Arc::clone(&config), Arc::clone(&counter));
                // A client that goes away in the middle is its own affair; it will say so itself.
                thread::spawn(move || converse(stream, config, &counter, answer));
            }
        });
        Ok(Self { address, authority, calls })
    }

    /// How many requests there have been.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// As `HTTPS_PROXY` takes it.
    pub fn proxy(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn converse(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
    calls: &AtomicUsize,
    answer: fn(Timestamp) -> String,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    request(&mut stream)?;
    stream.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n")?;
    let mut wire = StreamOwned::new(ServerConnection::new(config)?, stream);
    while request(&mut wire)? {
        calls.fetch_add(1, Ordering::SeqCst);
        let now = Timestamp::now();
        let (date, body) = (DateTimePrinter::new().timestamp_to_rfc9110_string(&now)?, answer(now));
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json";
        let length = body.len();
        // One piece, one record.
        let text = format!("{head}\r\nDate: {date}\r\nContent-Length: {length}\r\n\r\n{body}");
        wire.write_all(text.as_bytes())?;
        wire.flush()?;
    }
    Ok(())
}

/// Reads a request to its end; false when the client has gone.
fn request(stream: &mut impl Read) -> io::Result<bool> {
    let mut request = Vec::new();
    let mut buffer = [0; 8192];
    while !is_whole(&request) {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(false);
        }
        request.extend_from_slice(buffer.get(..length).unwrap_or_default());
    }
    Ok(true)
}

/// Whether head and body are there.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    body.len() >= length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
}

/// As the simulated cloud has it.
fn certificate(name: &str) -> Result<(ServerConfig, String), Box<dyn Error>> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "Authority of the benchmark");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let server = CertificateParams::new(vec![name.to_owned()])?;
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
