//! Where the services are: per region, public or VPC, or as overridden.
//!
//! The vendor's metadata lists hosts for most regions and nearly all follow one pattern, so the
//! pattern is the rule and the exceptions are the tables. `tests/vectors/endpoints.json`
//! is that listing; a test holds this file against every row of it.

use std::cell::Cell;

use crate::aliyun::ids::Region;
use crate::net::http::Route;

/// Regions for which no VPC host is listed. That does not prove that there is none, so
/// `network: vpc` still uses the pattern; only the automatic choice leaves it out.
const STS_NO_VPC: [&str; 1] = ["cn-hangzhou-finance"];
const CR_NO_VPC: [&str; 3] = ["cn-heyuan", "cn-wulanchabu", "cn-wulanchabu-gic-1"];

/// Regions in which STS is listed by the pattern. For others the pattern is tried and the global host
/// after it; for cn-hangzhou-finance and cn-shenzhen-finance-1 older listings have the global one alone.
#[rustfmt::skip]
const STS_LISTED: [&str; 32] = [
    "ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
    "ap-southeast-3", "ap-southeast-5", "ap-southeast-7",
    "cn-beijing", "cn-beijing-finance-1", "cn-chengdu", "cn-fuzhou", "cn-guangzhou", "cn-hangzhou",
    "cn-heyuan", "cn-hongkong", "cn-huhehaote", "cn-nanjing", "cn-qingdao", "cn-shanghai",
    "cn-shanghai-finance-1", "cn-shenzhen", "cn-wuhan-lr", "cn-wulanchabu", "cn-zhangjiakou",
    "eu-central-1", "eu-west-1", "me-central-1", "me-east-1", "na-south-1", "us-east-1", "us-west-1",
];

/// Regions that a listing of STS or of Container Registry has. There may be more.
#[rustfmt::skip]
const REGIONS: [&str; 40] = [
    "ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
    "ap-southeast-3", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "cn-beijing",
    "cn-beijing-finance-1", "cn-chengdu", "cn-fuzhou", "cn-guangzhou", "cn-hangzhou",
    "cn-hangzhou-finance", "cn-heyuan", "cn-heyuan-acdr-1", "cn-hongkong", "cn-huhehaote",
    "cn-nanjing", "cn-north-2-gov-1", "cn-qingdao", "cn-shanghai", "cn-shanghai-finance-1",
    "cn-shenzhen", "cn-shenzhen-finance-1", "cn-wuhan-lr", "cn-wulanchabu", "cn-wulanchabu-gic-1",
    "cn-zhangjiakou", "cn-zhengzhou-jva", "eu-central-1", "eu-west-1", "me-central-1", "me-east-1",
    "na-south-1", "us-east-1", "us-southeast-1", "us-west-1",
];

/// How many letters a slip changes.
const MOST_EDITS: usize = 2;

/// The region that was most likely meant, if this one is in no listing and resembles one that is. Another
/// number is not a slip: regions are added.
#[must_use]
pub fn nearest_region(region: &Region) -> Option<&'static str> {
    let region = region.as_str();
    // Nearly every one is known, and comparing by letters takes long.
    if REGIONS.contains(&region) {
        return None;
    }
    let letters = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let distance = |known: &&&str| strsim::osa_distance(known, region);
    let nearest = REGIONS.iter().min_by_key(distance)?;
    let is_slip = distance(&nearest) <= MOST_EDITS;
    (is_slip && letters(nearest) != letters(region)).then_some(*nearest)
}

/// The region of a place such as `hangzhou`, if one alone is there.
pub fn region_of_place(place: &str) -> Option<&'static str> {
    let mut there = REGIONS
        .into_iter()
        .filter(|region| region.split_once('-').is_some_and(|(_, rest)| rest == place));
    there.next().filter(|_| there.next().is_none())
}

/// The host that serves every region.
pub const STS_GLOBAL: &str = "sts.aliyuncs.com";

/// Where the vendor's services and registries have their names.
pub const DOMAIN: &str = "aliyuncs.com";

/// Whether a name is below the vendor's domain.
#[must_use]
pub fn is_vendors_host(name: &str) -> bool {
    name.strip_suffix(DOMAIN).is_some_and(|rest| rest.ends_with('.'))
}

/// How hosts are chosen, as `network` in the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// A VPC host where it can resolve, with about a second to connect, then the public one.
    Auto,
    /// VPC hosts only.
    Vpc,
    /// Public hosts only.
    Internet,
}

/// One base URL that a service may be reached at, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub url: String,
    /// Give up connecting after about a second: there is another candidate.
    pub quick: bool,
}

impl Candidate {
    /// `host[:port]`, for messages.
    pub fn host(&self) -> &str {
        self.url.split_once("://").map_or(self.url.as_str(), |(_, host)| host)
    }

    /// Which way requests to it go.
    pub fn route(&self) -> Route {
        if self.quick { Route::CloudQuick } else { Route::Cloud }
    }
}

/// A service's base URLs in order of preference, and which of them has answered.
#[derive(Debug)]
pub struct Endpoint {
    /// All but the last, in order.
    candidates: Vec<Candidate>,
    last: Candidate,
    /// How many have been given up.
    passed: Cell<usize>,
}

impl Endpoint {
    /// The one place that an override names.
    pub fn fixed(base_url: &str) -> Self {
        Self::of([base_url.trim_end_matches('/').to_owned()])
    }

    /// STS in the node's region. `vpc_resolves` says whether this is a cloud node, where a VPC
    /// host can be expected to resolve.
    pub fn sts(region: Option<&Region>, network: Network, vpc_resolves: bool) -> Self {
        let Some(region) = region else {
            return Self::of([https(STS_GLOBAL)]);
        };
        let mut public = vec![https(&format!("sts.{region}.aliyuncs.com"))];
        if !STS_LISTED.contains(&region.as_str()) {
            public.push(https(STS_GLOBAL));
        }
        let vpc = https(&format!("sts-vpc.{region}.aliyuncs.com"));
        let try_vpc = vpc_resolves && !STS_NO_VPC.contains(&region.as_str());
        Self::choose(network, try_vpc, vpc, public)
    }

    /// The Container Registry API in the instance's region. `same_region` says whether the node
    /// is known to be in it too.
    pub fn cr(region: &Region, network: Network, same_region: bool) -> Self {
        let vpc = https(&format!("cr-vpc.{region}.aliyuncs.com"));
        let public = vec![https(&format!("cr.{region}.aliyuncs.com"))];
        let try_vpc = same_region && !CR_NO_VPC.contains(&region.as_str());
        Self::choose(network, try_vpc, vpc, public)
    }

    /// The candidate to use now.
    pub fn current(&self) -> &Candidate {
        self.candidates.get(self.passed.get()).unwrap_or(&self.last)
    }

    /// Moves on to the next candidate, after a failure to connect. The one that answers stays
    /// chosen, so the second call of a run pays nothing for the first one's discovery.
    pub fn next(&self) -> bool {
        let more = self.passed.get() < self.candidates.len();
        if more {
            self.passed.set(self.passed.get() + 1);
        }
        more
    }

    /// The hosts that could not be connected to.
    pub fn given_up(&self) -> Vec<&str> {
        self.candidates.iter().take(self.passed.get()).map(Candidate::host).collect()
    }

    /// Moves past hosts that an earlier run could not connect to.
    #[must_use]
    pub fn without(self, unreachable: &[String]) -> Self {
        while unreachable.iter().any(|host| host == self.current().host()) && self.next() {}
        self
    }

    fn choose(network: Network, try_vpc: bool, vpc: String, public: Vec<String>) -> Self {
        match network {
            Network::Vpc => Self::of([vpc]),
            Network::Auto if try_vpc => Self::of(std::iter::once(vpc).chain(public)),
            Network::Auto | Network::Internet => Self::of(public),
        }
    }

    fn of(urls: impl IntoIterator<Item = String>) -> Self {
        let mut urls: Vec<String> = urls.into_iter().collect();
        let last = urls.pop().unwrap_or_else(|| https(STS_GLOBAL));
        let quick = urls.into_iter().map(|url| Candidate { url, quick: true });
        Self {
            candidates: quick.collect(),
            last: Candidate { url: last, quick: false },
            passed: Cell::new(0),
        }
    }
}

fn https(host: &str) -> String {
    format!("https://{host}")
}
