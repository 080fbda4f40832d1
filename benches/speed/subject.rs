//! The program that is measured, in front of the simulated cloud: one configuration for each
//! identity, and the ways to the cloud.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use simulation::cloud::{Cloud, Service, standard};
use simulation::kubelet::encode_request;

use crate::link::address_of;
use crate::process::Program;

const V1: &str = "credentialprovider.kubelet.k8s.io/v1";
const HOST: &str = "acme-registry.cn-hangzhou.cr.aliyuncs.com";

/// A user of the cluster's account, who needs a role to reach the registry.
const FOREIGN_KEY: (&str, &str) = ("LTAI5tImageBotOfA0000001", "MadeUpA9botzXw4Rt7Yq2Pm5Ks8Lc1");

const WORLD: &str = "{tls: true, accounts: {'1000000000000001': {users: {image-bot: {
    access-keys: {LTAI5tImageBotOfA0000001: {secret: MadeUpA9botzXw4Rt7Yq2Pm5Ks8Lc1}},
    system-policies: [AliyunSTSAssumeRoleAccess]}}}}}";

/// Who the program is, on its way to account B's registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    AccessKey,
    AccessKeyWithRole,
    WorkerRole,
    Rrsa,
}

/// What one cold answer takes: connections to STS and ACR, and requests to each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    pub connections: usize,
    pub requests: usize,
    /// Of the metadata service, which is on the machine's own hypervisor.
    pub metadata: usize,
}

impl Identity {
    pub const ALL: [Self; 4] =
        [Self::AccessKey, Self::AccessKeyWithRole, Self::WorkerRole, Self::Rrsa];

    pub fn name(self) -> &'static str {
        match self {
            Self::AccessKey => "AccessKey",
            Self::AccessKeyWithRole => "AccessKey with role",
            Self::WorkerRole => "worker role with role",
            Self::Rrsa => "RRSA with role",
        }
    }

    /// The fewest that the services allow. ACR is asked for the login with what STS has answered,
    /// and the second role is assumed with the session of the first, so no two requests can go out
    /// together.
    pub fn calls(self) -> Calls {
        match self {
            // GetAuthorizationToken.
            Self::AccessKey => Calls { connections: 1, requests: 1, metadata: 0 },
            // AssumeRole; GetAuthorizationToken.
            Self::AccessKeyWithRole => Calls { connections: 2, requests: 2, metadata: 0 },
            // Token, role name and role document of the metadata service; then the same.
            Self::WorkerRole => Calls { connections: 2, requests: 2, metadata: 3 },
            // AssumeRoleWithOIDC and AssumeRole over one connection; GetAuthorizationToken.
            Self::Rrsa => Calls { connections: 2, requests: 3, metadata: 0 },
        }
    }

    /// Round trips to STS and ACR that one cold answer has to wait for. TCP's handshake and TLS 1.3's
    /// take one each, and so does each request: each is signed with what the last answer held. ACR is
    /// connected to while STS answers.
    pub fn round_trips(self) -> usize {
        let Calls { requests, .. } = self.calls();
        2 + requests
    }

    fn entry(self) -> String {
        let role = format!("assumeRoleARN: {}", standard::PULLER);
        let key =
            |(id, secret)| format!("customAccessKey: {id}\n    customAccessKeySecret: {secret}");
        match self {
            Self::AccessKey => key((standard::ACCESS_KEY_ID, standard::ACCESS_KEY_SECRET)),
            Self::AccessKeyWithRole => format!(
                "{}\n    assumeRoleARN: {}\n    externalId: {}",
                key(FOREIGN_KEY),
                standard::PULLER_EXTERNAL,
                standard::EXTERNAL_ID
            ),
            Self::WorkerRole => role,
            Self::Rrsa => format!(
                "{role}\n    rrsaRoleARN: {}\n    rrsaOIDCProviderRoleARN: {}",
                standard::RRSA_ROLE,
                standard::OIDC_PROVIDER
            ),
        }
    }
}

/// Where STS and ACR are reached.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub sts: SocketAddr,
    pub cr: SocketAddr,
    /// The host that ACR is named by.
    pub cr_host: &'static str,
}

pub struct Subject {
    pub binary: PathBuf,
    pub cloud: Cloud,
    folder: PathBuf,
}

impl Subject {
    pub fn new(binary: PathBuf, folder: &Path) -> Result<Self, Box<dyn Error>> {
        let cloud = Cloud::with(WORLD);
        let authority = cloud.ca_pem().ok_or("the cloud has no TLS")?;
        fs::write(folder.join("ca.pem"), authority)?;
        let token = cloud.service_account_token(
            standard::OIDC_PROVIDER,
            "kube-system",
            "aliyun-acr-credential-helper",
        );
        write_private(&folder.join("token"), &token.mint())?;
        for (name, image) in
            [("request", format!("{HOST}/team/app")), ("foreign", "docker.io/team/app".to_owned())]
        {
            fs::write(folder.join(name), encode_request(V1, &image, None, &BTreeMap::new()))?;
        }
        Ok(Self { binary, cloud, folder: folder.to_owned() })
    }

    /// Makes an authority trusted beside the cloud's.
    pub fn trust(&self, authority: &str) -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new().append(true).open(self.folder.join("ca.pem"))?;
        file.write_all(authority.as_bytes())
    }

    /// Straight to the cloud.
    pub fn straight(&self) -> Result<Way, Box<dyn Error>> {
        let (sts, cr) = (address_of(&self.cloud.sts_url())?, address_of(&self.cloud.cr_url())?);
        Ok(Way { sts, cr, cr_host: "127.0.0.1" })
    }

    /// The program with one identity, a way and a cache of its own.
    pub fn program(&self, identity: Identity, way: Way) -> Result<Program, Box<dyn Error>> {
        self.build(&self.binary, "", identity, way)
    }

    /// The build of an earlier commit, with a cache of its own: what one keeps the other may not know.
    pub fn earlier(
        &self,
        binary: &Path,
        identity: Identity,
        way: Way,
    ) -> Result<Program, Box<dyn Error>> {
        self.build(binary, "earlier-", identity, way)
    }

    fn build(
        &self,
        binary: &Path,
        prefix: &str,
        identity: Identity,
        way: Way,
    ) -> Result<Program, Box<dyn Error>> {
        let name = format!("{prefix}{identity:?}-{}", way.cr.port());
        let config = self.folder.join(format!("{name}.yaml"));
        let text = format!(
            "rrsa: {{enable: true}}
acr-registry-info:
  - instanceId: {}
    regionId: cn-hangzhou
    domains: {HOST}
    {}
credential-provider:
  caFile: {folder}/ca.pem
  oidcTokenFile: {folder}/token
  cacheDir: {}
  endpoints: {{metadata: \"{}\", sts: \"https://localhost:{}\", cr: \"https://{}:{}\", registry: \"{}\"}}
",
            standard::ACME,
            identity.entry(),
            self.folder.join(&name).display(),
            self.cloud.metadata_url(),
            // A name of its own: a TLS session of one host is not resumed at another.
            way.sts.port(),
            way.cr_host,
            way.cr.port(),
            self.cloud.registry_url(),
            folder = self.folder.display(),
        );
        write_private(&config, &text)?;
        Ok(Program {
            args: vec!["--config".to_owned(), config.display().to_string()],
            stdin: Some(self.folder.join("request")),
            ..Program::new(binary)
        })
    }

    /// Empties the cache of a program.
    pub fn forget(&self, identity: Identity, way: Way) -> Result<(), Box<dyn Error>> {
        let folder = self.folder.join(format!("{identity:?}-{}", way.cr.port()));
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        Ok(())
    }

    /// What the cloud has seen so far.
    pub fn seen(&self) -> Calls {
        let of = |services: &[Service]| -> usize {
            services.iter().map(|service| self.cloud.connections(*service)).sum()
        };
        let calls = self.cloud.call_lines();
        let metadata = calls.iter().filter(|line| line.starts_with("metadata ")).count();
        Calls {
            connections: of(&[Service::Sts, Service::Cr]),
            requests: calls.len() - metadata,
            metadata,
        }
    }
}

impl Calls {
    pub fn since(self, before: Self) -> Self {
        Self {
            connections: self.connections - before.connections,
            requests: self.requests - before.requests,
            metadata: self.metadata - before.metadata,
        }
    }

    pub fn times(self, count: usize) -> Self {
        Self {
            connections: self.connections * count,
            requests: self.requests * count,
            metadata: self.metadata * count,
        }
    }

    pub fn and(self, other: Self) -> Self {
        Self {
            connections: self.connections + other.connections,
            requests: self.requests + other.requests,
            metadata: self.metadata + other.metadata,
        }
    }
}

/// A file that only its owner can read, as the program asks for when it holds an AccessKey.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
