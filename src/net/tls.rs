//! Whom TLS trusts, decided as late as possible.
//!
//! Parsing a system's CA store takes longer than everything else this program does, and most
//! answers need no TLS or only a well-known root. So the built-in Mozilla roots are asked first,
//! and the system's store is read only when they do not know the issuer (a TLS-inspecting proxy,
//! a private CA). `SSL_CERT_FILE` replaces both, as it does for OpenSSL; `caFile` is added to
//! whatever is in force.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    ProtocolVersion, RootCertStore, SignatureScheme,
};

use crate::system::trusted_file;

/// Where Linux distributions keep their CA bundle: Debian and Ubuntu, Alibaba Cloud Linux and
/// RHEL (two spellings), SUSE, Alpine.
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Largest file of certificates that is read, in KiB: a system's bundle takes a quarter of one MiB.
const MAX_FILE: u64 = 4096;

/// The files that say whom to trust, beside the built-in roots.
#[derive(Debug, Default, Clone)]
pub struct Trust {
    /// Instead of the built-in roots and the system's, with what names it: `SSL_CERT_FILE`.
    pub instead: Option<(&'static str, PathBuf)>,
    /// `caFile`: in addition.
    pub also: Option<PathBuf>,
}

/// A file named by the user that holds no usable certificate.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{setting} `{path}`: {detail}")]
pub struct TrustError {
    /// What names the file, such as `caFile` or `SSL_CERT_FILE`.
    pub setting: &'static str,
    path: String,
    detail: String,
}

/// The TLS settings of every connection of this program.
///
/// # Errors
///
/// When a file in `trust` cannot be read or holds no certificate.
pub fn client_config(trust: &Trust) -> Result<ClientConfig, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(LazyRoots::new(trust, Arc::clone(&provider))?);
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| no_roots(&error.to_string()))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Shakes hands with a host that was connected to, and nothing more: which version of TLS it is.
///
/// # Errors
///
/// When its certificate is not trusted for the name, or it does not speak TLS.
pub fn handshake(
    trust: &Trust,
    host: &str,
    mut stream: TcpStream,
    patience: Duration,
) -> Result<&'static str, NoHandshake> {
    let other = |error: &dyn StdError| NoHandshake::Other(error.to_string());
    let config = client_config(trust).map_err(|error| other(&error))?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| other(&error))?;
    let connection = ClientConnection::new(Arc::new(config), name);
    let mut connection = connection.map_err(|error| other(&error))?;
    let limits = stream
        .set_read_timeout(Some(patience))
        .and_then(|()| stream.set_write_timeout(Some(patience)));
    limits.map_err(|error| other(&error))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => NoHandshake::Silent,
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => NoHandshake::Closed,
            _ => match refused_certificate(&error) {
                Some(why) => NoHandshake::Untrusted(why),
                None => other(&error),
            },
        })?;
    }
    Ok(match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        _ => "TLS",
    })
}

/// Why there was no handshake over a connection.
#[derive(Debug, thiserror::Error)]
pub enum NoHandshake {
    #[error("connected, then no answer to the TLS handshake")]
    Silent,
    #[error("connected, then closed before the TLS handshake ended")]
    Closed,
    #[error("certificate not accepted: {0}")]
    Untrusted(Untrusted),
    #[error("{0}")]
    Other(String),
}

/// Why a certificate was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// Only its dates are wrong, by this machine's clock.
    #[error("it is valid from {} on, and this machine's clock says {}", written(*.from), written(*.now))]
    NotYetValid { from: UnixTime, now: UnixTime },
    #[error("it was valid until {}, and this machine's clock says {}", written(*.until), written(*.now))]
    Expired { until: UnixTime, now: UnixTime },
    /// As rustls says it.
    #[error("{0}")]
    Other(String),
}

/// Why a certificate was refused, if that is what an error is about.
pub fn refused_certificate(error: &(dyn StdError + 'static)) -> Option<Untrusted> {
    if let Some(Error::InvalidCertificate(why)) = error.downcast_ref::<Error>() {
        return Some(match why {
            CertificateError::NotValidYetContext { time, not_before } => {
                Untrusted::NotYetValid { from: *not_before, now: *time }
            }
            CertificateError::ExpiredContext { time, not_after } => {
                Untrusted::Expired { until: *not_after, now: *time }
            }
            other => Untrusted::Other(other.to_string()),
        });
    }
    // An I/O error is silent about what is in it when it is asked for its source.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => refused_certificate(inner),
        None => refused_certificate(error.source()?),
    }
}

fn written(time: UnixTime) -> String {
    let second = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX).to_string()
}

/// Built-in roots at once, the system's when they are needed. Both check names, dates and chains
/// with webpki; only the set of roots differs.
#[derive(Debug)]
struct LazyRoots {
    first: Arc<WebPkiServerVerifier>,
    /// Not set where `SSL_CERT_FILE` has said what holds.
    system: Option<OnceLock<Option<Arc<WebPkiServerVerifier>>>>,
    provider: Arc<CryptoProvider>,
}

impl LazyRoots {
    fn new(trust: &Trust, provider: Arc<CryptoProvider>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        match &trust.instead {
            Some((setting, path)) => add_file(&mut roots, path, setting)?,
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        if let Some(path) = &trust.also {
            add_file(&mut roots, path, "caFile")?;
        }
        let first = verifier(roots, &provider).ok_or_else(|| no_roots("no usable root"))?;
        Ok(Self { first, system: trust.instead.is_none().then(OnceLock::new), provider })
    }

    fn system(&self) -> Option<&Arc<WebPkiServerVerifier>> {
        let load = || {
            let bundle = SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.exists())?;
            let mut roots = RootCertStore::empty();
            add_file(&mut roots, bundle, "system").ok()?;
            verifier(roots, &self.provider)
        };
        self.system.as_ref()?.get_or_init(load).as_ref()
    }
}

impl ServerCertVerifier for LazyRoots {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let ask = |verifier: &WebPkiServerVerifier| {
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        match ask(&self.first) {
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                match self.system() {
                    Some(system) => ask(system),
                    None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
                }
            }
            decided => decided,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.first.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.first.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.first.supported_verify_schemes()
    }
}

fn verifier(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Option<Arc<WebPkiServerVerifier>> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok()
}

fn add_file(
    roots: &mut RootCertStore,
    path: &Path,
    setting: &'static str,
) -> Result<(), TrustError> {
    let error = |detail: String| TrustError { setting, path: path.display().to_string(), detail };
    let file = trusted_file::read(path, MAX_FILE);
    let pem = file.map_err(|why| error(why.to_string()))?.bytes;
    let certificates = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 { Err(error("holds no certificate in PEM form".to_owned())) } else { Ok(()) }
}

fn no_roots(detail: &str) -> TrustError {
    TrustError { setting: "roots", path: "built-in".to_owned(), detail: detail.to_owned() }
}
