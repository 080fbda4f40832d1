//! A node with every kind of identity and registry, and what happens to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use simulation::cloud::{self, Hop, standard};
use simulation::kubelet::{Exit, Outcome, encode_request};

use super::judge::{self, Table};
use super::weather::{HOPS, Weather};
use crate::fleet::chance::Chance;
use crate::node::{ACME, FOO, Node, V1};

/// For the whole run of the program.
pub const TIMEOUT: Duration = Duration::from_secs(6);

const GLOBEX: &str = "globex-registry.cn-shanghai.cr.aliyuncs.com";
/// The same instance as [`ACME`], for which somebody else asks.
const ACME_VPC: &str = "acme-registry-vpc.cn-hangzhou.cr.aliyuncs.com";
const ACME_DEV: &str = "acme-dev-registry.cn-hangzhou.cr.aliyuncs.com";
const CUSTOM: &str = "img.example.com";
const PERSONAL: &str = "registry.cn-hangzhou.aliyuncs.com";
const FOREIGN: &str = "docker.io";

/// Seconds that tokens of service accounts live.
const TOKEN_LIFE: i64 = 3600;

/// What a login has to open.
#[derive(Clone, Copy)]
pub enum Opens {
    Instance(&'static str),
    Personal,
    /// There must be no login.
    Nothing,
}

#[derive(Clone, Copy)]
pub struct Pull {
    pub host: &'static str,
    pub opens: Opens,
    /// Who has to ask for the login: at the end of the chain, as trust policies call him.
    pub asker: &'static str,
    /// With a token of the pod's own.
    pub pod: bool,
    /// The hops that it may take.
    pub hops: &'static [Hop],
}

const WORKER_ROLE: [Hop; 5] = [
    Hop::MetadataToken,
    Hop::MetadataRoleName,
    Hop::MetadataRoleDocument,
    Hop::AssumeRole,
    Hop::GetAuthorizationToken,
];
const LOOKED_UP: [Hop; 7] = [
    Hop::MetadataToken,
    Hop::MetadataRoleName,
    Hop::MetadataRoleDocument,
    Hop::RegistryChallenge,
    Hop::ListInstanceEndpoint,
    Hop::AssumeRole,
    Hop::GetAuthorizationToken,
];
const RRSA: [Hop; 3] = [Hop::AssumeRoleWithOidc, Hop::AssumeRole, Hop::GetAuthorizationToken];

/// The owner of the AccessKey.
const USER: &str = "acs:ram::2000000000000002:user/image-puller";

const PULLS: [Pull; 8] = [
    Pull {
        host: ACME,
        opens: Opens::Instance(standard::ACME),
        asker: standard::PULLER,
        pod: false,
        hops: &WORKER_ROLE,
    },
    Pull {
        host: FOO,
        opens: Opens::Instance(standard::FOO_REGISTRY),
        asker: standard::PULLER_ONE_HOUR,
        pod: false,
        hops: &LOOKED_UP,
    },
    Pull {
        host: GLOBEX,
        opens: Opens::Instance(standard::GLOBEX),
        asker: standard::PULLER,
        pod: false,
        hops: &RRSA,
    },
    Pull {
        host: ACME_VPC,
        opens: Opens::Instance(standard::ACME),
        asker: USER,
        pod: false,
        hops: &[Hop::GetAuthorizationToken],
    },
    Pull {
        host: ACME_DEV,
        opens: Opens::Instance(standard::ACME_DEV),
        asker: USER,
        pod: false,
        hops: &[Hop::GetAuthorizationToken],
    },
    Pull {
        host: CUSTOM,
        opens: Opens::Instance(standard::ACME),
        asker: standard::PULLER,
        pod: true,
        hops: &RRSA,
    },
    Pull {
        host: PERSONAL,
        opens: Opens::Personal,
        asker: USER,
        pod: false,
        hops: &[Hop::PersonalTokens],
    },
    Pull { host: FOREIGN, opens: Opens::Nothing, asker: "", pod: false, hops: &[] },
];

/// Who runs the program.
#[derive(Clone, Copy)]
pub enum Client {
    Kubelet,
    Docker,
}

/// The result of a pull.
pub struct Pulled {
    pub pull: Pull,
    pub client: Client,
    pub began: Instant,
    pub outcome: Outcome,
    /// Whether an answer was right when it came: what is good then may end while others still run.
    pub answered: Option<Result<(), String>>,
}

pub struct Place {
    pub node: Node,
    /// Seconds by which the services are ahead of this machine's wall clock.
    pub skew: i64,
    /// The AccessKey that the services know, and whether the configuration has it.
    key: u32,
    pub key_is_known: bool,
    token_ends: i64,
    time: i64,
    /// When STS last said that the call limit is used up.
    throttled: Option<i64>,
}

/// Seconds for which the node may keep to itself after that: the longest pause and the time until the
/// congestion is forgotten, which a later refusal makes longer.
const THROTTLED: i64 = 120;

impl Place {
    pub fn new(chance: &mut Chance) -> Self {
        // How far the machine's clock is off to begin with. Each wait moves it on.
        let skew = [0, 0, 600, -600, 7200, -7200, -43_200][chance.of(7)];
        let age = [0, 10_000, 19_500][chance.of(3)];
        let world = json!({
            "clock": {"offset-seconds": skew},
            "node": {"credential-age": age},
        });
        let mut node = Node::new(&world.to_string());
        write!(
            node.settings,
            "  timeout: {}s\n  nodeRegion: cn-hangzhou\n  oidcTokenFile: {}/token\n",
            TIMEOUT.as_secs(),
            node.folder.display()
        )
        .unwrap();
        let mut place = Self {
            node,
            skew,
            key: 0,
            key_is_known: false,
            token_ends: 0,
            time: 0,
            throttled: None,
        };
        place.rotate_access_key();
        place.configure();
        place.renew_token();
        place
    }

    /// Seconds, minutes or hours; what lives long enough is renewed meanwhile, mostly.
    pub fn let_time_pass(&mut self, chance: &mut Chance, table: &mut Table) {
        let most = [60, 60, 1200, 1200, 10_800][chance.of(5)];
        let seconds = 5 + i64::try_from(chance.of(most)).unwrap();
        self.node.wait(seconds);
        self.skew += seconds;
        self.time += seconds;
        table.time += Duration::from_secs(seconds.unsigned_abs());
        if !chance.one_in(10) {
            self.renew_token();
        }
        if !self.key_is_known {
            // A key that was rotated and forgotten is put right.
            self.configure();
        } else if chance.one_in(15) {
            self.rotate_access_key();
            table.rotations += 1;
            if !chance.one_in(3) {
                self.configure();
            }
        }
    }

    pub fn set(&self, weather: &Weather) {
        self.node.cloud.change(&json!({"faults": weather.faults}).to_string()).unwrap();
    }

    pub fn calls(&self) -> usize {
        self.node.cloud.calls().len()
    }

    pub fn token_is_good(&self) -> bool {
        self.time < self.token_ends
    }

    /// One that ends in the middle of its work.
    pub fn kill_one(&self, chance: &mut Chance, table: &mut Table) {
        let mut child = self.node.start(PULLS[chance.of(2)].host);
        thread::sleep(Duration::from_millis(chance.of(200) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        table.killed += 1;
    }

    /// Up to four at a time, as a kubelet starts them.
    pub fn pull_some(&self, chance: &mut Chance) -> Vec<Pulled> {
        let number = 1 + chance.of(4);
        let mut one = |_| {
            let pull = PULLS[chance.of(PULLS.len())];
            // docker has no token of a pod.
            let is_docker = chance.one_in(4) && !pull.pod;
            (pull, if is_docker { Client::Docker } else { Client::Kubelet })
        };
        let pulls: Vec<(Pull, Client)> = (0..number).map(&mut one).collect();
        thread::scope(|scope| {
            let run = |pull: Pull, client: Client| {
                let began = Instant::now();
                let earlier = self.node.cloud.logins();
                let (outcome, answered) = match client {
                    Client::Kubelet => {
                        let outcome = self.node.exec(&[]).run(&self.request(pull)).unwrap();
                        let answered = (outcome.exit == Exit::Code(0))
                            .then(|| judge::answered(self, &pull, &outcome, earlier));
                        (outcome, answered)
                    }
                    Client::Docker => {
                        let outcome =
                            self.node.docker_helper("get").run(pull.host.as_bytes()).unwrap();
                        let is_foreign = matches!(pull.opens, Opens::Nothing);
                        let answered = (outcome.exit == Exit::Code(0) || is_foreign)
                            .then(|| judge::answered_docker(self, &pull, &outcome, earlier));
                        (outcome, answered)
                    }
                };
                Pulled { pull, client, began, outcome, answered }
            };
            let threads: Vec<_> = pulls
                .iter()
                .map(|(pull, client)| scope.spawn(move || run(*pull, *client)))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    /// Looks for calls to STS since then that were refused because the call limit is used up.
    pub fn look_for_throttling(&mut self, since: usize) {
        let calls = self.node.cloud.calls();
        let is_throttled = |outcome: &cloud::Outcome| match outcome {
            cloud::Outcome::Answered { status, code, .. } => {
                *status == 429 || code.as_ref().is_some_and(|code| code.starts_with("Throttling"))
            }
            cloud::Outcome::Unanswered(_) => false,
        };
        let of_sts = |hop: Hop| matches!(hop, Hop::AssumeRole | Hop::AssumeRoleWithOidc);
        if calls[since..].iter().any(|call| of_sts(call.hop) && is_throttled(&call.outcome)) {
            self.throttled = Some(self.time);
        }
    }

    /// Whether a run may end without a call, because the node waits for longer than the run may take.
    pub fn waits_for_call_limit(&self) -> bool {
        self.throttled.is_some_and(|throttled| self.time - throttled <= THROTTLED)
    }

    /// The hops that failed since, or whose failure nobody could see.
    pub fn trouble(&self, weather: &Weather, since: usize) -> BTreeSet<Hop> {
        let calls = self.node.cloud.calls();
        let failed = calls[since..].iter().filter(|call| !call.succeeded()).map(|call| call.hop);
        let service = |hop: &Hop| hop.service();
        let refused: BTreeSet<_> = weather.refused.iter().map(service).collect();
        let unseen =
            HOPS.iter().map(|(_, hop)| *hop).filter(|hop| refused.contains(&hop.service()));
        failed.chain(unseen).collect()
    }

    fn request(&self, pull: Pull) -> Vec<u8> {
        let token = pull.pod.then(|| {
            let account = ("team-a", "builder");
            self.node
                .cloud
                .service_account_token(standard::OIDC_PROVIDER, account.0, account.1)
                .mint()
        });
        let image = format!("{}/team/app", pull.host);
        encode_request(V1, &image, token.as_deref(), &BTreeMap::new())
    }

    fn renew_token(&mut self) {
        let token = self.node.cloud.service_account_token(
            standard::OIDC_PROVIDER,
            "kube-system",
            "aliyun-acr-credential-helper",
        );
        let path = self.node.folder.join("token");
        fs::write(&path, token.mint()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self.token_ends = self.time + TOKEN_LIFE;
    }

    fn access_key(&self) -> (String, String) {
        (format!("LTAI5tSoakOfB{:07}", self.key), format!("MadeUpSoak{:020}", self.key))
    }

    /// The services know another key from now on, the node does not yet.
    fn rotate_access_key(&mut self) {
        let (old, _) = self.access_key();
        self.key += 1;
        let (id, secret) = self.access_key();
        let keys = json!({old: null, id: {"secret": secret}});
        let users = json!({"image-puller": {"access-keys": keys}});
        let world = json!({"accounts": {standard::REGISTRY_ACCOUNT: {"users": users}}});
        self.node.cloud.change(&world.to_string()).unwrap();
        self.key_is_known = false;
    }

    fn configure(&mut self) {
        let (id, secret) = self.access_key();
        let worker = |what: &str, role: &str| {
            format!("  - {what}\n    regionId: cn-hangzhou\n    assumeRoleARN: {role}\n")
        };
        let key = format!(
            "    regionId: cn-hangzhou\n    customAccessKey: {id}\n    customAccessKeySecret: {secret}\n"
        );
        let rrsa = |role: &str| {
            format!(
                "    rrsaRoleARN: {role}\n    rrsaOIDCProviderRoleARN: {}\n    assumeRoleARN: {}\n",
                standard::OIDC_PROVIDER,
                standard::PULLER
            )
        };
        let entries = [
            worker(
                &format!("instanceId: {}\n    domains: {ACME}", standard::ACME),
                standard::PULLER,
            ),
            worker(&format!("instanceId: {}", standard::FOO_REGISTRY), standard::PULLER_ONE_HOUR),
            format!(
                "  - instanceId: {}\n    domains: {GLOBEX}\n    regionId: cn-shanghai\n    podIdentity: off\n{}",
                standard::GLOBEX,
                rrsa(standard::RRSA_ROLE)
            ),
            format!("  - instanceId: {}\n    domains: {ACME_VPC}\n{key}", standard::ACME),
            format!("  - instanceId: {}\n    domains: {ACME_DEV}\n{key}", standard::ACME_DEV),
            format!(
                "  - instanceId: {}\n    domains: {CUSTOM}\n    regionId: cn-hangzhou\n    podIdentity: required\n{}",
                standard::ACME,
                rrsa(standard::TEAM_A_ROLE)
            ),
            format!("  - domains: {PERSONAL}\n{key}"),
        ];
        self.node.configure_all(&format!(
            "rrsa: {{enable: true}}\nacr-registry-info:\n{}",
            entries.concat()
        ));
        self.key_is_known = true;
    }
}
