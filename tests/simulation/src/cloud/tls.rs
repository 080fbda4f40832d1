//! The cloud's own certificate authority, and a certificate for all its host names.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::description::Certificate;
use super::registry::hosts;
use super::world::World;

pub(super) struct Authority {
    pub(super) pem: String,
    /// The certificate of all host names, and its key.
    pub(super) server_pem: String,
    pub(super) server: Arc<ServerConfig>,
}

impl Authority {
    pub(super) fn new(world: &World) -> Result<Self, String> {
        let kind = world.description.certificate;
        let names = match kind {
            Certificate::OtherName => vec!["sts.example.com".to_owned()],
            _ => host_names(world),
        };
        Self::make(names, kind).map_err(|error| format!("certificates: {error}"))
    }

    fn make(names: Vec<String>, kind: Certificate) -> Result<Self, Box<dyn std::error::Error>> {
        let authority_key = KeyPair::generate()?;
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "Simulated Alibaba Cloud");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = authority.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(authority, authority_key);

        let key = KeyPair::generate()?;
        let mut server = CertificateParams::new(names)?;
        server.distinguished_name.push(DnType::CommonName, "simulated.aliyuncs.com");
        match kind {
            Certificate::Expired => server.not_after = date_time_ymd(2020, 1, 1),
            Certificate::NotYetValid => server.not_before = date_time_ymd(2090, 1, 1),
            Certificate::Right | Certificate::OtherName => {}
        }
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = server.signed_by(&key, &issuer)?;
        let server_pem = format!("{}{}", certificate.pem(), key.serialize_pem());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { pem, server_pem, server: Arc::new(config) })
    }
}

fn host_names(world: &World) -> Vec<String> {
    // 0.0.0.0 leads here as well, and is not loopback to those who read proxy variables.
    let mut names =
        ["localhost", "127.0.0.1", "0.0.0.0", "sts.aliyuncs.com"].map(str::to_owned).to_vec();
    let mut regions = world.cr_regions();
    regions.insert(world.description.node.region.clone());
    for region in regions {
        for prefix in ["sts", "sts-vpc", "cr", "cr-vpc", "registry", "registry-vpc"] {
            names.push(format!("{prefix}.{region}.aliyuncs.com"));
        }
    }
    for located in world.instances() {
        names.push(hosts::system(located.instance, false));
        names.push(hosts::system(located.instance, true));
        names.extend(located.instance.custom_domains.iter().cloned());
    }
    names
}
