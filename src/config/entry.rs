//! One entry of `acr-registry-info`: which hosts it covers, and who asks for their login.

use crate::aliyun::ids::{InstanceId, Region, RoleArn};
use crate::aliyun::registry_host;
use crate::aliyun::sts::{MAX_DURATION, MIN_DURATION};
use crate::config::diagnostics::notes::{Notes, quotable};
use crate::config::file::{Section, Written};
use crate::config::identity::{self, Context, IdentitySource, arn};
use crate::config::settings::region;
use crate::config::yaml::Position;

/// `expireDuration` when it is left out, in seconds; every role grants it.
const EXPIRE_DURATION: u32 = 3600;

/// `roleSessionName` when it is left out.
const SESSION_NAME: &str = "aliyun-acr-credential-provider";

/// A registry and the way to its login.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `entry 2 (line 14)`, for messages.
    pub name: String,
    pub scope: Scope,
    /// Empty for Personal Edition.
    pub instances: Vec<InstanceId>,
    /// None for the node's own region.
    pub region: Option<Region>,
    pub identity: IdentitySource,
    /// The role in the registry's account.
    pub role: Option<AssumedRole>,
    /// Seconds that a session is asked for, and that an answer may be kept at most.
    pub expire_duration: u32,
    pub session_name: String,
    /// Sessions are narrowed to pulling from the one instance.
    pub pull_only: bool,
    pub written: EntryKeys,
}

/// Which keys an entry has, and where they stand. Two entries mean the same wherever they stand.
#[derive(Debug, Default, Clone)]
pub struct EntryKeys {
    /// None where no entry is configured.
    pub at: Option<Position>,
    pub keys: Vec<(String, Position)>,
}

impl EntryKeys {
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|(name, _)| name == key)
    }

    /// Where a key stands, or else the entry it is missing from.
    #[must_use]
    pub fn place(&self, key: &str) -> Option<Position> {
        let found = self.keys.iter().find(|(name, _)| name == key);
        found.map(|(_, at)| *at).or(self.at)
    }
}

/// Which hosts an entry covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Exactly these, each `host[:port]`.
    Domains(Vec<String>),
    /// The Enterprise Edition hosts of its instances.
    Instances,
    /// The Personal Edition hosts of its region.
    Personal,
    /// Without configuration: every Enterprise Edition host; who may have its login is decided
    /// by the account that the node belongs to.
    Account,
}

/// A role in the registry's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumedRole {
    pub arn: RoleArn,
    pub external_id: Option<String>,
}

impl Entry {
    /// What stands in for entries where there are none: with an empty `acr-registry-info` the
    /// Personal Edition of the node's region, as the vendor has it; without one the node's own account.
    pub(super) fn implicit(empty_list: bool, identity: IdentitySource) -> Self {
        let (name, scope) = if empty_list {
            ("empty acr-registry-info", Scope::Personal)
        } else {
            ("no configured entry", Scope::Account)
        };
        Self {
            name: name.to_owned(),
            scope,
            instances: Vec::new(),
            region: None,
            identity,
            role: None,
            expire_duration: EXPIRE_DURATION,
            session_name: SESSION_NAME.to_owned(),
            pull_only: false,
            written: EntryKeys::default(),
        }
    }
}

/// Reads an entry; none if it is not usable, and `notes` says why.
pub(super) fn read(
    number: usize,
    section: &Section,
    context: &Context<'_>,
    notes: &mut Notes,
) -> Option<Entry> {
    if !section.is_readable() {
        return None;
    }
    let before = notes.problems.count();
    let instances = instances(section, notes);
    let personal = instances.is_empty() && notes.problems.count() == before;
    let domains = domains(section, personal, notes);
    let identity = identity::read(section, context, notes);
    let role = assumed_role(section, notes);
    let entry = Entry {
        name: format!("entry {number} (line {})", section.at.line),
        scope: match (domains.is_empty(), instances.is_empty()) {
            (false, _) => Scope::Domains(domains),
            (true, false) => Scope::Instances,
            (true, true) => Scope::Personal,
        },
        instances,
        region: region("regionId", section, notes),
        expire_duration: expire_duration(section, notes),
        session_name: session_name(section, notes),
        pull_only: pull_only(section, notes),
        identity: identity?,
        role,
        written: EntryKeys {
            at: Some(section.at),
            keys: section.keys().map(|(key, at)| (key.to_owned(), at)).collect(),
        },
    };
    let has_session = entry.role.is_some() || matches!(entry.identity, IdentitySource::Oidc(_));
    if entry.pull_only && !has_session {
        let at = section.position("sessionPolicy").unwrap_or(section.at);
        notes.problem(at, "`sessionPolicy` narrows a role session, and this entry assumes no role: give `assumeRoleARN`");
    }
    (notes.problems.count() == before).then_some(entry)
}

fn instances(section: &Section, notes: &mut Notes) -> Vec<InstanceId> {
    let mut ids = Vec::new();
    for written in section.list("instanceId", notes) {
        match InstanceId::parse(&written.text) {
            Some(id) => ids.push(id),
            None => notes.problem(
                written.at,
                format!(
                    "`instanceId` is `{}`; expected {}",
                    quotable(&written.text),
                    InstanceId::FORM
                ),
            ),
        }
    }
    ids
}

fn domains(section: &Section, personal: bool, notes: &mut Notes) -> Vec<String> {
    let mut domains = Vec::new();
    for Written { at, text } in section.list("domains", notes) {
        if !registry_host::is_host_and_port(&text) {
            let message = format!(
                "`domains` has `{}`; expected a host name, with a port if images have one",
                quotable(&text)
            );
            notes.problem(at, message);
        } else if personal && !registry_host::may_be_personal(&text) {
            let message = format!(
                "`domains` has `{}`, which is no Personal Edition host, but `instanceId` is left out",
                quotable(&text)
            );
            notes.problem(at, message);
        } else {
            domains.push(text);
        }
    }
    domains
}

fn assumed_role(section: &Section, notes: &mut Notes) -> Option<AssumedRole> {
    let external = section.text("externalId", notes);
    let Some(written) = section.text("assumeRoleARN", notes) else {
        if let Some(external) = external {
            notes.problem(
                external.at,
                "`externalId` belongs to an assumed role: give `assumeRoleARN`",
            );
        }
        return None;
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b);
    if let Some(Written { at, text }) = &external
        && (!(2..=1224).contains(&text.len()) || !text.bytes().all(fits))
    {
        notes.problem(*at, "`externalId` must have 2 to 1224 letters, digits or `_+=,.@:/-`");
    }
    let arn = arn("assumeRoleARN", &written, RoleArn::parse, RoleArn::FORM, notes)?;
    Some(AssumedRole { arn, external_id: external.map(|written| written.text) })
}

fn expire_duration(section: &Section, notes: &mut Notes) -> u32 {
    let Some(written) = section.text("expireDuration", notes) else {
        return EXPIRE_DURATION;
    };
    match written.text.parse() {
        Ok(seconds) if (MIN_DURATION..=MAX_DURATION).contains(&seconds) => seconds,
        _ => {
            let message = format!(
                "`expireDuration` is `{}`; expected whole seconds, {MIN_DURATION} to {MAX_DURATION}",
                quotable(&written.text)
            );
            notes.problem(written.at, message);
            EXPIRE_DURATION
        }
    }
}

fn session_name(section: &Section, notes: &mut Notes) -> String {
    let Some(Written { at, text }) = section.text("roleSessionName", notes) else {
        return SESSION_NAME.to_owned();
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || b".@-_".contains(&b);
    if !(2..=64).contains(&text.len()) || !text.bytes().all(fits) {
        let text = quotable(&text);
        notes.problem(
            at,
            format!("`roleSessionName` is `{text}`; expected 2 to 64 letters, digits or `.@-_`"),
        );
    }
    text
}

fn pull_only(section: &Section, notes: &mut Notes) -> bool {
    let Some(Written { at, text }) = section.text("sessionPolicy", notes) else {
        return false;
    };
    if text != "pull-only" {
        let text = quotable(&text);
        notes.problem(at, format!("`sessionPolicy` is `{text}`; expected pull-only"));
    }
    true
}
