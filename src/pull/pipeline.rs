//! The pipeline, station by station: from an image to a login.

use std::cell::Cell;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::aliyun::call::Network;
use crate::aliyun::ids::InstanceId;
use crate::aliyun::registry_host::{RegistryHost, region_in_name};
use crate::cache::freshness::Rules;
use crate::cache::{Cache, Key, Kind, Made};
use crate::config::{Config, Entry};
use crate::failure::{Exit, Failure};
use crate::kubelet::exec_api::{self, Request};
use crate::pull::identity::{self, Pod, Requester};
use crate::pull::image;
use crate::pull::node::{Learnt, Node};
use crate::pull::registry_instance::{Lookup, Target};
use crate::pull::registry_token::{self, Login, RegistryToken};
use crate::pull::role_chain::{Purpose, Sessions};
use crate::pull::run_history::{self, Outcome, Run};
use crate::pull::selection::{self, Claim};
use crate::secret::Secret;
use crate::system::clock;
use crate::system::random;

/// How long the node trusts what it has learnt of a registry's host before it asks again, and how
/// long if the answer does not come.
const HOST_FRESH: Duration = Duration::from_secs(24 * 60 * 60);
const HOST_GOOD: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long hosts that could not be connected to are passed over.
const NETWORK_FRESH: Duration = Duration::from_secs(60 * 60);

/// What is kept of a registry's host: whose login it takes.
#[derive(Serialize, Deserialize)]
struct KnownHost {
    entry: String,
    /// None for Personal Edition.
    instance: Option<InstanceId>,
    login: Key,
}

/// Answers a request: the whole text for stdout.
///
/// # Errors
///
/// When the host is ours and there is no login for it.
pub fn provide(
    request: &Request,
    config: &Config,
    node: &Node<'_>,
    cache: &Cache<'_>,
) -> Result<Secret, Failure> {
    let host = registry_host(request)?;
    let result = login(host, &request.pod(), config, node, cache);
    note(host, &request.pod(), &result, node, cache);
    let token = result?.map(|mut served| {
        if let Some(failure) = served.stale {
            served.token.cache_seconds =
                served.token.cache_seconds.min(Rules::DEFAULT.stale_answer.as_secs());
            node.network.journal.warn(format!(
                "the login of {host} was not renewed and the old one answers for now: {}",
                failure.message
            ));
        }
        served.token
    });
    Ok(exec_api::response(request, token.as_ref().map(|token| (host, token))))
}

/// Answers a request from what the node's cache has, if that is fresh: no configuration is
/// understood and no network touched.
#[must_use]
pub fn from_cache(request: &Request, cache: &Cache<'_>) -> Option<Secret> {
    if request.pod().token.is_some() {
        return None;
    }
    let host = registry_host(request).ok()?;
    let known = cache.get_fresh::<Option<KnownHost>>(&host_key(host))?.value?;
    let kept = cache.get_fresh::<Login>(&known.login)?;
    let left = kept.left();
    Some(exec_api::response(request, Some((host, &kept.value.token(left)))))
}

fn registry_host(request: &Request) -> Result<&str, Failure> {
    image::registry_host(&request.image)
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))
}

/// Notes what came of a run that asked the cloud, or failed before it could. Of a pod's own identity nothing is written down,
/// and what failed may speak of it: that is in the kubelet's log alone.
pub fn note(
    host: &str,
    pod: &Pod<'_>,
    result: &Result<Option<Served>, Failure>,
    node: &Node<'_>,
    cache: &Cache<'_>,
) {
    let Network { clock, journal, .. } = node.network;
    if journal.longest().is_none() && (result.is_ok() || cache.has_shared_a_failure()) {
        return;
    }
    let (outcome, failure) = match result {
        Ok(Some(Served { stale: None, .. })) => (Outcome::Fetched, None),
        Ok(Some(Served { stale: Some(failure), .. })) => (Outcome::Stale, Some(failure)),
        Ok(None) => (Outcome::Foreign, None),
        Err(failure) => (Outcome::Failed, Some(failure)),
    };
    let time = clock.local().to_string();
    let failure = failure.filter(|_| pod.token.is_none());
    run_history::add(cache, Run::new(time, host, outcome, failure, journal));
}

/// The login of a registry host; none if it is not ours.
///
/// # Errors
///
/// When there is none though the host is ours.
pub fn login(
    host: &str,
    pod: &Pod<'_>,
    config: &Config,
    node: &Node<'_>,
    cache: &Cache<'_>,
) -> Result<Option<Served>, Failure> {
    cache.sweep();
    let pull = Pull { host, pod, config, node, cache };
    let result = match pull.login() {
        // What was known from earlier runs may have changed: once more without it.
        Err(failure)
            if failure.exit == Exit::RegistryToken && !failure.may_pass && cache.distrust() =>
        {
            pull.login()
        }
        result => result,
    };
    match (&result, node.learnt()) {
        (Ok(_), Some(value)) => {
            let until = clock::since_boot() + NETWORK_FRESH;
            cache.put(&node_key(), Made { value, fresh_until: until, until });
        }
        (Err(failure), _) if failure.may_pass => cache.forget(&node_key()),
        _ => {}
    }
    result.map_err(|failure| {
        let Network { deadline, journal, .. } = node.network;
        failure.after(node.settings.timeout, deadline.before(), journal.longest()).for_host(host)
    })
}

/// A login that can be handed out.
pub struct Served {
    pub token: RegistryToken,
    /// Why it is an old one, though it should have been renewed.
    pub stale: Option<Failure>,
}

struct Pull<'a, 'n> {
    host: &'a str,
    pod: &'a Pod<'a>,
    config: &'a Config,
    node: &'a Node<'n>,
    cache: &'a Cache<'a>,
}

impl Pull<'_, '_> {
    fn login(&self) -> Result<Option<Served>, Failure> {
        let Self { host, pod, config, node, .. } = *self;
        let form = RegistryHost::parse(host);
        let claim = selection::claim(&config.entries, host, form.as_ref(), || node.region())?;
        identity::admit_to_one(&claim.entries(), *pod, node.network.clock.now())?;
        let off = Cache::off(node.network.journal);
        let kept = |entry: &&Entry| identity::may_be_kept(&entry.identity, *pod);
        let cache = if claim.entries().iter().all(kept) { self.cache } else { &off };

        let region = region_in_name(host);
        let requester = Requester { pod: *pod, node, registry_region: region.as_ref() };
        let sessions = Sessions::new(requester, cache);
        let find = |entry: &_| sessions.session(entry, Purpose::Find);
        let lookup = Lookup { host, form: form.as_ref(), node, session: &find };
        let Some(target) = self.target(claim, &lookup, cache)? else { return Ok(None) };
        node.network.journal.debug(format!("{host} is answered by {}", target.entry.name));
        self.token(&target, &lookup, &sessions, cache).map(Some)
    }

    /// What the configuration, the node's cache or else the network says of the host.
    fn target<'c>(
        &self,
        claim: Claim<'c>,
        lookup: &Lookup<'_, '_>,
        cache: &Cache<'_>,
    ) -> Result<Option<Target<'c>>, Failure> {
        if let Claim::None = claim {
            return Ok(None);
        }
        let key = host_key(self.host);
        let entries = claim.entries();
        let told = cache.get::<Option<KnownHost>>(&key);
        if let Some(target) = Target::of_claim(&claim) {
            // Nothing had to be learnt; it is kept for those who answer from the cache alone.
            let login = login_key(&target, lookup);
            if told.and_then(|told| told.value).is_none_or(|known| known.login != login) {
                cache.put(&key, known_host(Some((&target, login))));
            }
            return Ok(Some(target));
        }
        let mut learnt = None;
        let kept = cache.fetch(&key, self.node.network.deadline, || {
            learnt = lookup.target(claim)?;
            Ok(known_host(learnt.as_ref().map(|target| (target, login_key(target, lookup)))))
        })?;
        if let Some(target) = learnt {
            return Ok(Some(target));
        }
        let Some(known) = kept.value else { return Ok(None) };
        let entry = entries.into_iter().find(|entry| entry.name == known.entry);
        let entry = entry.ok_or_else(|| {
            Failure::new(Exit::Unexpected, "the cache names an entry that is not there")
        })?;
        Ok(Some(Target { entry, instance: known.instance }))
    }

    fn token(
        &self,
        target: &Target<'_>,
        lookup: &Lookup<'_, '_>,
        sessions: &Sessions<'_, '_>,
        cache: &Cache<'_>,
    ) -> Result<Served, Failure> {
        let node = self.node;
        let left_at_issue = Cell::new(None);
        let key = login_key(target, lookup);
        let kept = cache.fetch(&key, node.network.deadline, || {
            let pull = Purpose::Pull(target.instance.as_ref());
            let session = sessions.session(target.entry, pull)?;
            let endpoint = node.cr(|| lookup.region(target.entry))?;
            let begun = clock::since_boot();
            let (value, left) = registry_token::fetch(node, endpoint, &session, target, self.host)?;
            left_at_issue.set(Some(left));
            let threshold = self.config.expiring_threshold;
            let renew_below = Rules::DEFAULT.renew_below(left, threshold, random::number());
            let until = begun + left;
            Ok(Made { value, fresh_until: until.saturating_sub(renew_below), until })
        })?;
        let left = left_at_issue.get().unwrap_or_else(|| kept.left());
        Ok(Served { token: kept.value.token(left), stale: kept.stale })
    }
}

fn known_host(target: Option<(&Target<'_>, Key)>) -> Made<Option<KnownHost>> {
    let now = clock::since_boot();
    let Some((target, login)) = target else {
        let until = now + Rules::DEFAULT.shared_failure;
        return Made { value: None, fresh_until: until, until };
    };
    let (entry, instance) = (target.entry.name.clone(), target.instance.clone());
    let value = Some(KnownHost { entry, instance, login });
    Made { value, fresh_until: now + HOST_FRESH, until: now + HOST_GOOD }
}

/// What earlier runs have found out of the machine and its network.
#[must_use]
pub fn learnt(cache: &Cache<'_>) -> Learnt {
    cache.get_fresh(&node_key()).map(|kept| kept.value).unwrap_or_default()
}

fn node_key() -> Key {
    Key::new(Kind::Node, &[])
}

fn host_key(host: &str) -> Key {
    Key::new(Kind::Host, &[host])
}

/// Everything that tells one login from another: who asks, through which role, for which registry.
fn login_key(target: &Target<'_>, lookup: &Lookup<'_, '_>) -> Key {
    let Target { entry, instance } = target;
    let role = entry.role.as_ref();
    Key::new(
        Kind::Login,
        &[
            &identity::key(&entry.identity),
            role.map_or("", |role| role.arn.as_str()),
            role.and_then(|role| role.external_id.as_deref()).unwrap_or_default(),
            &entry.session_name,
            &entry.expire_duration.to_string(),
            if entry.pull_only { "pull-only" } else { "" },
            instance.as_ref().map_or("", |instance| instance.as_str()),
            lookup.known_region(entry).as_ref().map_or("", |region| region.as_str()),
        ],
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::net::http::Http;
    use crate::system::clock::{Clock, Deadline};
    use crate::system::environment::Environment;
    use crate::system::firmware::Machine;
    use crate::system::log::Journal;

    /// Whatever tells one login from another is in its key, and a secret is not.
    #[test]
    fn logins_that_differ_in_anything_have_keys_of_their_own() {
        let plain = "instanceId: cri-a, assumeRoleARN: \"acs:ram::1:role/a\"";
        let others = [
            plain.to_owned(),
            plain.replace("cri-a", "cri-b"),
            plain.replace("role/a", "role/b"),
            plain.replace("ram::1", "ram::2"),
            format!("{plain}, externalId: x1"),
            format!("{plain}, roleSessionName: other"),
            format!("{plain}, expireDuration: 7200"),
            format!("{plain}, sessionPolicy: pull-only"),
            format!("{plain}, regionId: us-east-1"),
            format!("{plain}, customAccessKey: LTAI1, customAccessKeySecret: hunter2"),
            format!("{plain}, customAccessKey: LTAI2, customAccessKeySecret: hunter2"),
            format!("{plain}, rrsaRoleARN: \"acs:ram::1:role/r\""),
            "assumeRoleARN: \"acs:ram::1:role/a\"".to_owned(),
            "instanceId: cri-a".to_owned(),
        ];
        let mut keys = BTreeSet::new();
        for entry in &others {
            keys.insert(key(entry));
            assert_eq!(key(entry), key(entry));
        }
        assert_eq!(keys.len(), others.len(), "{keys:#?}");
        assert!(!format!("{keys:?}").contains("hunter2"));
    }

    fn key(entry: &str) -> String {
        let text = format!(
            "rrsa: {{enable: true}}\ncredential-provider: {{clusterId: c1}}\nacr-registry-info: [{{{entry}}}]"
        );
        let environment = Environment::default();
        let config = Config::resolve(None, &text, false, &environment).unwrap();
        let (http, clock, journal) = (Http::default(), Clock::default(), Journal::default());
        let deadline = Deadline::new(clock::instant(), Duration::from_secs(1));
        let network =
            Network { http: &http, clock: &clock, deadline: &deadline, journal: &journal };
        let node = Node::new(
            network,
            &config.settings,
            &config.variables,
            Machine::Unknown,
            Learnt::default(),
        );
        let host = "acme-registry.cn-hangzhou.cr.aliyuncs.com";
        let form = RegistryHost::parse(host);
        let nobody = |_: &Entry| Err(Failure::new(Exit::Unexpected, ""));
        let lookup = Lookup { host, form: form.as_ref(), node: &node, session: &nobody };
        let entry = &config.entries[0];
        let target = Target { entry, instance: entry.instances.first().cloned() };
        format!("{:?}", login_key(&target, &lookup))
    }
}
