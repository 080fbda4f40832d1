//! Connections: kept alive, counted, encrypted, in parallel, and ended.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::super::standard::ACME;
use super::super::{Cloud, Service};
use super::client::{Reply, get_token, image_puller, request, violations};

#[test]
fn several_requests_share_a_connection() {
    let cloud = Cloud::with("{}");
    let mut stream = TcpStream::connect(cloud.metadata_url().replace("http://", "")).unwrap();
    let kept = "GET /latest/meta-data/region-id HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(format!("{kept}{kept}").as_bytes()).unwrap();
    let last = request("GET", "/latest/meta-data/zone-id", &[], "");
    stream.write_all(last.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3);
    assert_eq!(cloud.connections(Service::Metadata), 1);
    assert_eq!(cloud.connections(Service::Sts), 0);
    assert_eq!(cloud.calls().len(), 3);
}

#[test]
fn many_clients_are_served_at_once() {
    let cloud = Cloud::with("{}");
    thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                let reply = get_token(&cloud, &image_puller(), ACME).send(&cloud.cr_url());
                assert_eq!(reply.status, 200);
            });
        }
    });
    assert_eq!(cloud.calls().len(), 24);
    assert_eq!(cloud.connections(Service::Cr), 24);
    assert_eq!(violations(&cloud), [""; 0]);
}

#[test]
fn idle_connections_do_not_outlive_the_cloud() {
    let cloud = Cloud::with("{}");
    let mut idle = TcpStream::connect(cloud.cr_url().replace("http://", "")).unwrap();
    drop(cloud);
    assert_eq!(idle.read(&mut [0; 1]).unwrap_or(0), 0);
}

fn over_tls(cloud: &Cloud, url: &str, name: &str, roots: RootCertStore) -> std::io::Result<Reply> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(url.replace("https://", "")).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    let target = "/v2/";
    let host = "acme-registry.cn-hangzhou.cr.aliyuncs.com";
    stream.write_all(request("GET", target, &[("Host", host)], "").as_bytes())?;
    let mut bytes = Vec::new();
    // The connection ends without a close_notify, as many servers do it.
    drop(stream.read_to_end(&mut bytes));
    assert!(cloud.metadata_url().starts_with("http://"));
    Ok(Reply::parse(&bytes))
}

#[test]
fn tls_is_by_an_authority_of_its_own() {
    let cloud = Cloud::with("tls: true");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(cloud.ca_pem().unwrap().as_bytes()).unwrap()).unwrap();
    for name in ["127.0.0.1", "acme-registry-vpc.cn-hangzhou.cr.aliyuncs.com", "sts.aliyuncs.com"] {
        let reply = over_tls(&cloud, &cloud.registry_url(), name, roots.clone()).unwrap();
        assert_eq!(reply.status, 401);
    }
    let stranger = over_tls(&cloud, &cloud.registry_url(), "example.org", roots);
    assert!(stranger.is_err());
    let distrust = over_tls(&cloud, &cloud.sts_url(), "127.0.0.1", RootCertStore::empty());
    assert!(distrust.is_err());
    assert_eq!(violations(&cloud), [""; 0]);
}
