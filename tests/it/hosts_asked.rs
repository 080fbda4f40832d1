//! Which hosts are asked when nothing overrides them: seen by a proxy that leads every name to the
//! simulated cloud, whose certificate covers the real names.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use simulation::cloud::{Cloud, standard};
use simulation::kubelet::{Exec, Exit, Outcome, encode_request};

use crate::PROGRAM;

const V1: &str = "credentialprovider.kubelet.k8s.io/v1";
const IMAGE: &str = "acme-registry.cn-hangzhou.cr.aliyuncs.com/team/app";

/// A proxy for `CONNECT` that notes who is asked for, and refuses the names in `down`.
pub struct Proxy {
    pub address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub fn start(cloud: &Cloud, down: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let host = |url: String| url.split_once("://").unwrap().1.to_owned();
        let (sts, cr, registry) =
            (host(cloud.sts_url()), host(cloud.cr_url()), host(cloud.registry_url()));
        let noted = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (noted, sts, cr, registry) =
                    (Arc::clone(&noted), sts.clone(), cr.clone(), registry.clone());
                thread::spawn(move || {
                    let mut lines = BufReader::new(client.try_clone().unwrap()).lines();
                    let first = lines.next().unwrap().unwrap();
                    let name = first.split(' ').nth(1).unwrap().to_owned();
                    for line in lines.by_ref().map_while(Result::ok) {
                        if line.is_empty() {
                            break;
                        }
                    }
                    noted
                        .lock()
                        .unwrap()
                        .push(format!("{} {name}", first.split(' ').next().unwrap()));
                    let mut client = client;
                    if down.iter().any(|down| name.starts_with(down)) {
                        let _ = client.write_all(
                            b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
                        );
                        return;
                    }
                    // Regional hosts by their first word; an address is that of ACR.
                    let to = match name.split(['.', '-']).next().unwrap() {
                        "sts" => sts,
                        "cr" | "0" => cr,
                        _ => registry,
                    };
                    let server = TcpStream::connect(to).unwrap();
                    client.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").unwrap();
                    let (mut a, mut b) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                    thread::spawn(move || {
                        let _ = copy(&mut a, &mut b);
                        let _ = b.shutdown(Shutdown::Write);
                    });
                    let (mut a, mut b) = (server, client);
                    let _ = copy(&mut a, &mut b);
                });
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("hosts-asked").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn run(
    name: &str,
    cloud: &Cloud,
    proxy: &Proxy,
    entry: &str,
    settings: &str,
    env: &[(&str, &str)],
) -> Outcome {
    let folder = folder(name);
    let (ca, config) = (folder.join("ca.pem"), folder.join("config.yaml"));
    fs::write(&ca, cloud.ca_pem().unwrap()).unwrap();
    let endpoints = if settings.contains("endpoints:") {
        String::new()
    } else {
        format!("  endpoints: {{metadata: \"{}\"}}\n", cloud.metadata_url())
    };
    let text = format!(
        "acr-registry-info:\n  - {entry}\ncredential-provider:\n  cacheDir: off\n{settings}{endpoints}"
    );
    fs::write(&config, text).unwrap();
    let mut exec = Exec::new(PROGRAM);
    exec.args = vec!["--config".into(), config.to_string_lossy().into_owned()];
    exec.config_env = vec![
        ("HTTPS_PROXY".into(), format!("http://user:hunter2@{}", proxy.address)),
        ("HTTP_PROXY".into(), format!("http://{}", proxy.address)),
        ("ALL_PROXY".into(), format!("http://{}", proxy.address)),
        ("SSL_CERT_FILE".into(), ca.to_string_lossy().into_owned()),
    ];
    exec.config_env.extend(env.iter().map(|(name, value)| ((*name).into(), (*value).into())));
    let outcome = exec.run(&encode_request(V1, IMAGE, None, &BTreeMap::new())).unwrap();
    assert_eq!(cloud.violations(), vec![], "{name}");
    assert!(!outcome.stderr_text().contains("hunter2"), "{name} gives the proxy's password away");
    outcome
}

fn entry() -> String {
    format!(
        "{{instanceId: {}, regionId: cn-hangzhou, domains: {}, assumeRoleARN: \"{}\"}}",
        standard::ACME,
        IMAGE.split('/').next().unwrap(),
        standard::PULLER
    )
}

/// Metadata is never asked through the proxy, whatever the variables say; STS and ACR are.
#[test]
fn vpc_hosts_on_a_cloud_node_in_the_instances_region() {
    let cloud = Cloud::with("tls: true");
    let proxy = Proxy::start(&cloud, &[]);
    let outcome = run("vpc", &cloud, &proxy, &entry(), "", &[]);
    assert_eq!(outcome.exit, Exit::Code(0), "{}", outcome.stderr_text());
    assert_eq!(
        proxy.asked(),
        [
            "CONNECT sts-vpc.cn-hangzhou.aliyuncs.com:443",
            "CONNECT cr-vpc.cn-hangzhou.aliyuncs.com:443"
        ]
    );
}

/// A VPC host that cannot be connected to: the public one is asked instead.
#[test]
fn public_hosts_where_the_vpc_ones_cannot_be_reached() {
    let cloud = Cloud::with("tls: true");
    let proxy = Proxy::start(&cloud, &["sts-vpc", "cr-vpc"]);
    let outcome = run("public-after-vpc", &cloud, &proxy, &entry(), "", &[]);
    assert_eq!(outcome.exit, Exit::Code(0), "{}", outcome.stderr_text());
    assert_eq!(
        proxy.asked(),
        [
            "CONNECT sts-vpc.cn-hangzhou.aliyuncs.com:443",
            "CONNECT sts.cn-hangzhou.aliyuncs.com:443",
            "CONNECT cr-vpc.cn-hangzhou.aliyuncs.com:443",
            "CONNECT cr.cn-hangzhou.aliyuncs.com:443",
        ]
    );
}

/// An HTTP answer of any kind is never a reason to switch.
#[test]
fn a_refusal_does_not_switch_hosts() {
    let cloud = Cloud::with(
        "{tls: true, faults: {assume-role: [{instead: {error: {status: 403, code: NoPermission, message: refused}}}]}}",
    );
    let proxy = Proxy::start(&cloud, &[]);
    let outcome = run("refusal", &cloud, &proxy, &entry(), "", &[]);
    assert_eq!(outcome.exit, Exit::Code(4), "{}", outcome.stderr_text());
    assert_eq!(proxy.asked(), ["CONNECT sts-vpc.cn-hangzhou.aliyuncs.com:443"]);
}

/// `vpc` and `internet` are strict.
#[test]
fn network_is_strict() {
    for (network, wanted, down, exit) in [
        (
            "internet",
            vec![
                "CONNECT sts.cn-hangzhou.aliyuncs.com:443",
                "CONNECT cr.cn-hangzhou.aliyuncs.com:443",
            ],
            &[][..],
            0,
        ),
        ("vpc", vec!["CONNECT sts-vpc.cn-hangzhou.aliyuncs.com:443"; 5], &["sts-vpc"][..], 4),
    ] {
        let cloud = Cloud::with("tls: true");
        let proxy = Proxy::start(&cloud, down);
        let outcome =
            run(network, &cloud, &proxy, &entry(), &format!("  network: {network}\n"), &[]);
        assert_eq!(outcome.exit, Exit::Code(exit), "{}", outcome.stderr_text());
        assert_eq!(proxy.asked(), wanted, "{network}");
    }
}

/// STS is asked in the node's region, ACR in the instance's; across regions over its public host.
#[test]
fn regions_of_node_and_instance() {
    let cloud = Cloud::with("tls: true");
    let proxy = Proxy::start(&cloud, &[]);
    let outcome = run("regions", &cloud, &proxy, &entry(), "  nodeRegion: cn-shanghai\n", &[]);
    assert_eq!(outcome.exit, Exit::Code(0), "{}", outcome.stderr_text());
    assert_eq!(
        proxy.asked(),
        ["CONNECT sts-vpc.cn-shanghai.aliyuncs.com:443", "CONNECT cr.cn-hangzhou.aliyuncs.com:443"]
    );
}

/// The vendor's variables, to which the file comes first.
#[test]
fn variables_choose_sts() {
    for (name, settings, env, wanted) in [
        (
            "sts-region",
            "",
            vec![("ALIBABA_CLOUD_STS_REGION", "cn-shanghai")],
            "sts-vpc.cn-shanghai.aliyuncs.com",
        ),
        (
            "sts-region-and-file",
            "  nodeRegion: cn-hangzhou\n",
            vec![("ALIBABA_CLOUD_STS_REGION", "cn-shanghai")],
            "sts-vpc.cn-hangzhou.aliyuncs.com",
        ),
        (
            "sts-endpoint",
            "",
            vec![("ALIBABA_CLOUD_STS_ENDPOINT", "sts.cn-shanghai.aliyuncs.com")],
            "sts.cn-shanghai.aliyuncs.com",
        ),
        (
            "vpc-and-file",
            "  network: internet\n",
            vec![("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED", "true")],
            "sts.cn-hangzhou.aliyuncs.com",
        ),
    ] {
        let cloud = Cloud::with("tls: true");
        let proxy = Proxy::start(&cloud, &[]);
        let outcome = run(name, &cloud, &proxy, &entry(), settings, &env);
        assert_eq!(outcome.exit, Exit::Code(0), "{name}: {}", outcome.stderr_text());
        assert_eq!(proxy.asked().first(), Some(&format!("CONNECT {wanted}:443")), "{name}");
    }
}

/// Without an override the registry itself is asked at its own name.
#[test]
fn the_challenge_is_asked_at_the_registry() {
    let cloud = Cloud::with("tls: true");
    let proxy = Proxy::start(&cloud, &[]);
    let entry = format!(
        "{{instanceId: \"{},{}\", regionId: cn-hangzhou, assumeRoleARN: \"{}\"}}",
        standard::ACME_DEV,
        standard::ACME,
        standard::PULLER
    );
    let outcome = run("challenge", &cloud, &proxy, &entry, "", &[]);
    assert_eq!(outcome.exit, Exit::Code(0), "{}", outcome.stderr_text());
    assert_eq!(
        proxy.asked().first().unwrap(),
        "CONNECT acme-registry.cn-hangzhou.cr.aliyuncs.com:443"
    );
}

/// `NO_PROXY` is honoured as Go reads it. ACR is at an address of this machine that is not loopback,
/// which is never asked through a proxy.
#[test]
fn no_proxy_for_a_host() {
    let cloud = Cloud::with("tls: true");
    let proxy = Proxy::start(&cloud, &[]);
    let cr = cloud.cr_url().replace("127.0.0.1", "0.0.0.0");
    let port = cr.rsplit(':').next().unwrap();
    for (name, cr, no_proxy, wanted) in [
        ("proxy", &cr, "x.invalid".to_owned(), 2),
        ("other-port", &cr, "0.0.0.0:443".to_owned(), 2),
        ("address", &cr, "x.invalid, 0.0.0.0".to_owned(), 1),
        ("port", &cr, format!("0.0.0.0:{port}"), 1),
        ("block", &cr, "0.0.0.0/8".to_owned(), 1),
        ("loopback", &cloud.cr_url(), "x.invalid".to_owned(), 1),
    ] {
        let settings =
            format!("  endpoints: {{metadata: \"{}\", cr: \"{cr}\"}}\n", cloud.metadata_url());
        let before = proxy.asked().len();
        let outcome = run(name, &cloud, &proxy, &entry(), &settings, &[("NO_PROXY", &no_proxy)]);
        assert_eq!(outcome.exit, Exit::Code(0), "{name}: {}", outcome.stderr_text());
        assert_eq!(proxy.asked().len() - before, wanted, "{name}: {:?}", proxy.asked());
    }
}

/// A proxy of a kind that this program does not speak matters only to a call that would go through it.
#[test]
fn a_proxy_of_another_kind_for_others() {
    let cloud = Cloud::with("tls: true");
    let proxy = Proxy::start(&cloud, &[]);
    let cr = cloud.cr_url().replace("127.0.0.1", "0.0.0.0");
    let settings = format!(
        "  endpoints: {{metadata: \"{}\", sts: \"{}\", cr: \"{cr}\"}}\n",
        cloud.metadata_url(),
        cloud.sts_url()
    );
    let socks = ("HTTPS_PROXY", "socks5://10.0.0.1:1080");
    for (no_proxy, exit) in [("*", 0), ("0.0.0.0/8", 0), ("x.invalid", 2)] {
        let env = [socks, ("NO_PROXY", no_proxy)];
        let outcome = run("socks", &cloud, &proxy, &entry(), &settings, &env);
        assert_eq!(outcome.exit, Exit::Code(exit), "{no_proxy}: {}", outcome.stderr_text());
    }
    assert_eq!(proxy.asked(), Vec::<String>::new());
}
