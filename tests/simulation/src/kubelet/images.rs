//! The images of a node, and the kubelet's records of whose credentials pulled them: who starts which
//! image without a pull. As of release 1.35, with the feature `KubeletEnsureSecretPulledImages`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::cache::ServiceAccount;
use super::image::normalise_image;
use super::provider::{Provider, Provision};
use super::response::Credential;
use super::url::urls_match;

/// `imagePullCredentialsVerificationPolicy` of the kubelet's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    NeverVerify,
    /// The default.
    NeverVerifyPreloadedImages,
    AlwaysVerify,
}

/// `imagePullPolicy` of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

/// What the start of a container came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the image that was there.
    Present,
    Pulled,
    /// No credential pulls it: `ErrImagePull`.
    NotPulled,
    /// `ErrImageNeverPull`, also where the image is there and not this pod's.
    NeverPulled,
}

/// Whose credentials pulled an image.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Credentials {
    /// `nodePodsAccessible`
    Node,
    /// Namespace, name and UID.
    Accounts(BTreeSet<[String; 3]>),
}

/// The images of one node.
#[derive(Debug)]
pub struct Images {
    pub verification: Verification,
    /// By the image's name, with its tag.
    present: BTreeSet<String>,
    /// By the same, and the name without tag: `ImagePulledRecord`.
    records: BTreeMap<String, BTreeMap<String, Credentials>>,
}

impl Images {
    #[must_use]
    pub fn new(verification: Verification) -> Self {
        Self { verification, present: BTreeSet::new(), records: BTreeMap::new() }
    }

    /// Puts an image on the node without the kubelet.
    pub fn preload(&mut self, image: &str) {
        self.present.insert(image.to_owned());
    }

    /// An image that a login of the node pulled.
    pub fn pulled_by_node(&mut self, image: &str) {
        self.preload(image);
        self.record(image, Credentials::Node);
    }

    pub fn remove_image(&mut self, image: &str) {
        self.present.remove(image);
    }

    pub fn remove_record(&mut self, image: &str) {
        self.records.remove(image);
    }

    /// Starts a container: image_manager.go `EnsureImageExists`. `pulls` is whether the registry lets
    /// a login pull the image. The result has what each provider that was asked came to.
    pub fn start(
        &mut self,
        image: &str,
        policy: PullPolicy,
        account: Option<&ServiceAccount>,
        providers: &mut [Provider],
        now: Duration,
        pulls: impl Fn(&Credential) -> bool,
    ) -> (Start, Vec<Provision>) {
        let name = normalise_image(image).unwrap();
        let mut look_up = || {
            let all = providers.iter_mut().map(|provider| {
                let of_account = account.filter(|_| provider.sends_tokens());
                (of_account.map(identity), provider.provide(&name, account, now))
            });
            all.filter(|(_, provision)| *provision != Provision::NotMatched).collect::<Vec<_>>()
        };
        let is_present = self.present.contains(image);
        let mut found = None;
        if is_present && policy != PullPolicy::Always {
            let may_start = match self.verified(image, &name) {
                Verified::Start => true,
                Verified::Pull => false,
                Verified::For(accounts) => {
                    let logins = found.insert(look_up());
                    logins.iter().any(|(whose, provision)| {
                        whose.as_ref().is_some_and(|whose| accounts.contains(whose))
                            && !logins_of(provision, &name).is_empty()
                    })
                }
            };
            if may_start {
                return (Start::Present, provisions(found));
            }
        }
        if policy == PullPolicy::Never {
            return (Start::NeverPulled, provisions(found));
        }
        let found = found.unwrap_or_else(look_up);
        let by =
            found.iter().find(|(_, provision)| logins_of(provision, &name).into_iter().any(&pulls));
        let Some((whose, _)) = by else { return (Start::NotPulled, provisions(Some(found))) };
        let credentials = match whose {
            Some(whose) => Credentials::Accounts(BTreeSet::from([whose.clone()])),
            None => Credentials::Node,
        };
        self.record(image, credentials);
        self.preload(image);
        (Start::Pulled, provisions(Some(found)))
    }

    /// image_pull_manager.go `MustAttemptImagePull`.
    fn verified(&self, image: &str, name: &str) -> Verified {
        let record = self.records.get(image);
        let is_asked = match self.verification {
            Verification::NeverVerify => false,
            Verification::NeverVerifyPreloadedImages => record.is_some(),
            Verification::AlwaysVerify => true,
        };
        match record.and_then(|record| record.get(name)) {
            _ if !is_asked => Verified::Start,
            Some(Credentials::Node) => Verified::Start,
            Some(Credentials::Accounts(accounts)) => Verified::For(accounts.clone()),
            None => Verified::Pull,
        }
    }

    /// `pulledRecordMergeNewCreds`: what is open to the node stays so.
    fn record(&mut self, image: &str, credentials: Credentials) {
        let name = normalise_image(image).unwrap();
        let record = self.records.entry(image.to_owned()).or_default();
        match (record.get_mut(&name), credentials) {
            (Some(Credentials::Node), _) => {}
            (Some(Credentials::Accounts(known)), Credentials::Accounts(more)) => known.extend(more),
            (_, credentials) => {
                record.insert(name, credentials);
            }
        }
    }
}

enum Verified {
    Start,
    /// These accounts alone start it, and only while a provider gives them a login.
    For(BTreeSet<[String; 3]>),
    Pull,
}

fn identity(account: &ServiceAccount) -> [String; 3] {
    [account.namespace.clone(), account.name.clone(), account.uid.clone()]
}

fn logins_of<'p>(provision: &'p Provision, name: &str) -> Vec<&'p Credential> {
    let (Provision::Cached { auth } | Provision::Answered { auth }) = provision else {
        return Vec::new();
    };
    auth.iter()
        .filter(|(key, _)| urls_match(key, name) == Ok(true))
        .map(|(_, login)| login)
        .collect()
}

fn provisions(found: Option<Vec<(Option<[String; 3]>, Provision)>>) -> Vec<Provision> {
    found.unwrap_or_default().into_iter().map(|(_, provision)| provision).collect()
}
