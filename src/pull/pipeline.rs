//! A pull, stage by stage: from a registry's host to its login. Every command goes this way;
//! `doctor` reads the trail that it leaves.

use std::cell::Cell;
use std::time::Duration;

use crate::aliyun::call::Network;
use crate::aliyun::registry_host::{RegistryHost, region_in_name};
use crate::cache::freshness::Rules;
use crate::cache::{Cache, Key, Made};
use crate::config::{Config, Entry};
use crate::failure::{Exit, Failure};
use crate::kubelet::exec_api::{self, Pod};
use crate::pull::identity::{self, Requester};
use crate::pull::known::{KnownHost, keep_learnt};
use crate::pull::node::Node;
use crate::pull::registry_instance::{Lookup, Target};
use crate::pull::registry_token::{self, Served};
use crate::pull::role_chain::{Purpose, Reached, Sessions};
use crate::pull::run_history::Outcome;
use crate::pull::selection::{self, Claim};
use crate::pull::{login_key, metrics, overlap, run_history, shared};
use crate::system::log::Calls;
use crate::system::{clock, random};

/// The login of a registry host, as it is handed out; none if the host is not ours.
///
/// # Errors
///
/// When there is none though the host is ours.
pub fn provide(
    host: &str,
    pod: Pod<'_>,
    config: &Config,
    node: &Node<'_>,
    cache: &Cache<'_>,
) -> Result<Option<exec_api::Login>, Failure> {
    let served = login(host, pod, config, node, cache)?;
    if let Some(failure) = served.as_ref().and_then(|served| served.stale.as_ref()) {
        node.network.journal.warn(format!(
            "the login of {host} was not renewed and the old one answers for now: {}",
            failure.text()
        ));
    }
    Ok(served.map(|served| served.login))
}

/// The login of a registry host, and a note of the run; none if the host is not ours.
///
/// # Errors
///
/// When there is none though the host is ours.
pub fn login(
    host: &str,
    pod: Pod<'_>,
    config: &Config,
    node: &Node<'_>,
    cache: &Cache<'_>,
) -> Result<Option<Served>, Failure> {
    cache.sweep();
    let form = RegistryHost::parse(host);
    let lookup = Lookup { host, form: form.as_ref(), node };
    let trail = Pull { lookup, pod, config, cache }.walk();
    let identity = trail.target.as_ref().map_or("", |target| target.entry.identity.kind());
    let result = trail.outcome;
    keep_learnt(&result, node, cache);
    let Network { deadline, journal, clock, .. } = node.network;
    let result = result.map_err(|failure| {
        failure.after(deadline.total(), deadline.before(), journal.longest()).for_host(host)
    });
    run_history::note(host, pod, &result, clock, journal, cache);
    let Calls { made: calls, throttled } = journal.take_calls();
    if let Some(file) = &config.settings.metrics
        && (!calls.is_empty() || result.is_err())
    {
        let (outcome, failure) = Outcome::of(&result);
        let (clock_offset, now) = (clock.seen(), clock.local().as_second());
        let run =
            metrics::Run { host, identity, outcome, failure, calls, throttled, clock_offset, now };
        metrics::note(&run, file, cache);
    }
    result
}

/// One pull from one host.
pub struct Pull<'a, 'n> {
    pub lookup: Lookup<'a, 'n>,
    pub pod: Pod<'a>,
    pub config: &'a Config,
    pub cache: &'a Cache<'a>,
}

/// What the stages of a pull have come to, in their order, and its outcome.
pub struct Trail<'c> {
    /// Selection: the entries that may answer; none if it failed.
    pub claim: Option<Claim<'c>>,
    /// Admission: none of the entries refuses the pod.
    pub is_admitted: bool,
    /// What the pull obtains may be kept on the node.
    pub may_be_kept: bool,
    /// Lookup of the instance; none if it failed or the host is not ours.
    pub target: Option<Target<'c>>,
    /// Identity and role.
    pub sessions: Reached,
    pub outcome: Result<Option<Served>, Failure>,
}

/// A login, what is left of it, and why it is an old one.
struct Obtained {
    login: registry_token::Login,
    left: Duration,
    stale: Option<Failure>,
}

impl<'c> Trail<'c> {
    /// Whose login it is: none if the host is not ours.
    ///
    /// # Errors
    ///
    /// The failure before that could be known.
    pub fn entry(&self) -> Result<Option<&Target<'c>>, &Failure> {
        match (&self.target, &self.outcome) {
            (None, Err(failure)) => Err(failure),
            (target, _) => Ok(target.as_ref()),
        }
    }
}

impl<'a> Pull<'a, '_> {
    /// Goes all stages, and once more without the cache where that may help.
    pub fn walk(&self) -> Trail<'a> {
        let trail = self.once();
        match &trail.outcome {
            // What was known from earlier runs may have changed.
            Err(failure)
                if failure.exit == Exit::RegistryToken
                    && !failure.may_pass
                    && self.cache.distrust() =>
            {
                self.once()
            }
            _ => trail,
        }
    }

    fn once(&self) -> Trail<'a> {
        let mut trail = Trail {
            claim: None,
            is_admitted: false,
            may_be_kept: false,
            target: None,
            sessions: Reached::default(),
            outcome: Ok(None),
        };
        trail.outcome = self.stages(&mut trail).map(|obtained| {
            obtained.map(|Obtained { login, left, stale }| Served::new(login, left, stale))
        });
        trail
    }

    fn stages(&self, trail: &mut Trail<'a>) -> Result<Option<Obtained>, Failure> {
        let claim = trail.claim.insert(self.claim()?);
        self.admit(claim)?;
        trail.is_admitted = true;
        trail.may_be_kept = self.may_be_kept(claim);
        if trail.may_be_kept {
            return self.obtain(trail, self.cache);
        }
        let Lookup { host, node, .. } = self.lookup;
        let life = identity::pod_login_life(&claim.entries());
        let off = Cache::off(node.network.journal);
        let obtain = || {
            let served = self.obtain(trail, &off)?;
            Ok(served.map(|Obtained { login, left, .. }| (login, left)))
        };
        let login = overlap::fetch(host, self.pod, self.cache, &node.network, life, obtain)?;
        Ok(login.map(|(login, left)| Obtained { login, left, stale: None }))
    }

    /// The login, by what a cache has and the cloud gives.
    fn obtain(
        &self,
        trail: &mut Trail<'a>,
        cache: &Cache<'_>,
    ) -> Result<Option<Obtained>, Failure> {
        let Some(claim) = &trail.claim else { return Ok(None) };
        let region = region_in_name(self.lookup.host);
        let node = self.lookup.node;
        let requester = Requester { pod: self.pod, node, registry_region: region.as_ref() };
        let sessions = Sessions::new(requester, cache);
        trail.target = self.target(claim, &sessions, cache)?;
        let Some(target) = &trail.target else { return Ok(None) };
        let obtained = self.token(target, &sessions, cache);
        trail.sessions = sessions.into_reached();
        obtained.map(Some)
    }

    /// The entries that may answer for the host.
    fn claim(&self) -> Result<Claim<'a>, Failure> {
        let Lookup { host, form, node } = self.lookup;
        let claim = selection::claim(&self.config.entries, host, form, || node.region())?;
        if let Claim::None = claim {
            let nearest = selection::nearest(&self.config.entries, host)
                .map_or_else(String::new, |near| {
                    format!("; the nearest host in `domains` is {near}")
                });
            node.network.journal.info(format!("no entry covers {host}: no login{nearest}"));
        }
        Ok(claim)
    }

    /// Refuses a pod that no entry would let in, before anything is called.
    fn admit(&self, claim: &Claim<'_>) -> Result<(), Failure> {
        let now = self.lookup.node.network.clock.now();
        identity::admit_to_one(&claim.entries(), self.pod, now)
    }

    fn may_be_kept(&self, claim: &Claim<'_>) -> bool {
        claim.entries().iter().all(|entry| identity::may_be_kept(&entry.identity, self.pod))
    }

    /// What the configuration, the node's cache or else the network says of the host.
    fn target(
        &self,
        claim: &Claim<'a>,
        sessions: &Sessions<'_, '_>,
        cache: &Cache<'_>,
    ) -> Result<Option<Target<'a>>, Failure> {
        if let Claim::None = claim {
            return Ok(None);
        }
        let key = KnownHost::key(self.lookup.host);
        if let Some(target) = Target::of_claim(claim) {
            // Nothing had to be learnt; it is kept for those who answer from the cache alone.
            let known = cache.get::<Option<KnownHost>>(&key).and_then(|kept| kept.value);
            let login = self.login_key(&target);
            if known.is_none_or(|known| known.login != login) {
                cache.put(&key, KnownHost::of(Some((&target, login))));
            }
            return Ok(Some(target));
        }
        let mut found = None;
        let (kept, _) = shared::fetch(&key, cache, &self.lookup.node.network, || {
            let session = |entry: &Entry| sessions.session(entry, Purpose::Find);
            found = self.lookup.target(claim, &session)?;
            Ok(KnownHost::of(found.as_ref().map(|target| (target, self.login_key(target)))))
        })?;
        if let Some(target) = found {
            return Ok(Some(target));
        }
        let Some(known) = kept.value else { return Ok(None) };
        let entry = claim.entries().into_iter().find(|entry| entry.number == known.entry);
        let entry = entry.ok_or_else(|| {
            Failure::new(Exit::Unexpected, "the cache names an entry that is not there")
        })?;
        Ok(Some(Target { entry, instance: known.instance }))
    }

    /// Identity, role and login, as far as the cache does not have them.
    fn token(
        &self,
        target: &Target<'_>,
        sessions: &Sessions<'_, '_>,
        cache: &Cache<'_>,
    ) -> Result<Obtained, Failure> {
        let Lookup { host, node, .. } = self.lookup;
        node.network.journal.debug(format!("{host} is answered by {}", target.entry.name));
        let left_at_issue = Cell::new(None);
        let (kept, stale) = shared::fetch(&self.login_key(target), cache, &node.network, || {
            let pull = Purpose::Pull(target.instance.as_ref());
            let session = sessions.session(target.entry, pull)?;
            let endpoint = node.cr(|| self.lookup.region(target.entry))?;
            let begun = clock::since_boot();
            let (value, left) = registry_token::fetch(node, endpoint, &session, target, host)?;
            left_at_issue.set(Some(left));
            let threshold = self.config.expiring_threshold;
            let renew_below = Rules::DEFAULT.renew_below(left, threshold, random::number());
            let until = begun + left;
            Ok(Made { value, fresh_until: until.saturating_sub(renew_below), until })
        })?;
        let left = left_at_issue.get().unwrap_or_else(|| kept.left());
        Ok(Obtained { login: kept.value, left, stale })
    }

    fn login_key(&self, target: &Target<'_>) -> Key {
        let region = self.lookup.known_region(target.entry);
        login_key::login(target.entry, target.instance.as_ref(), region.as_ref())
    }
}
