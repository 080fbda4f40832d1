//! One entry of `acr-registry-info`: which hosts it covers, and who asks for their login.

use crate::aliyun::ids::{InstanceId, Region, RoleArn};
use crate::aliyun::sts::{AssumedRole, MAX_DURATION, MIN_DURATION};
use crate::config::diagnostics::lines::Position;
use crate::config::diagnostics::notes::{Note, Notes, quotable};
use crate::config::file::Section;
use crate::config::hosts;
use crate::config::identity::{self, Context, IdentitySource};

/// `expireDuration` when it is left out, in seconds; every role grants it.
const EXPIRE_DURATION: u32 = 3600;

/// `roleSessionName` when it is left out.
const SESSION_NAME: &str = "aliyun-acr-credential-provider";

/// A registry and the way to its login.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place in the list, from 1; 0 for what stands in for entries.
    pub number: usize,
    /// `entry 2 (line 14)`, for messages.
    pub name: String,
    pub scope: Scope,
    /// Hosts that are not the registry's, and that its login is also for.
    pub mirrors: Vec<String>,
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
    pub fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|(name, _)| name == key)
    }

    /// Where a key stands, or else the entry that lacks it.
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

impl Scope {
    /// The hosts that are named; empty where they follow from something else.
    pub fn domains(&self) -> &[String] {
        match self {
            Self::Domains(domains) => domains,
            Self::Instances | Self::Personal | Self::Account => &[],
        }
    }
}

impl Entry {
    /// What stands in for entries where there are none: with an empty `acr-registry-info` the
    /// Personal Edition of the node's region, as the vendor has it; without one the node's own account.
    pub(super) fn implicit(
        empty_list: bool,
        identity: IdentitySource,
        session_name: Option<String>,
    ) -> Self {
        let (name, scope) = if empty_list {
            ("empty acr-registry-info", Scope::Personal)
        } else {
            ("no configured entry", Scope::Account)
        };
        Self {
            number: 0,
            name: name.to_owned(),
            scope,
            mirrors: Vec::new(),
            instances: Vec::new(),
            region: None,
            identity,
            role: None,
            expire_duration: EXPIRE_DURATION,
            session_name: session_name.unwrap_or_else(|| SESSION_NAME.to_owned()),
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
    let instances = section.values("instanceId", notes, InstanceId::parse);
    let is_personal = instances.is_empty() && notes.problems.count() == before;
    let region = hosts::region(section, "regionId", notes);
    let domains = hosts::read(section, is_personal, region.as_ref(), notes);
    let mirrors = hosts::mirrors(section, is_personal, notes);
    if let (Some(at), 2..) = (section.given("mirrors"), instances.len()) {
        notes.problem(at, "`mirrors` in an entry with several instances leaves open whose login a mirror gets: give each instance an entry of its own");
    }
    let identity = identity::read(section, context, notes);
    let entry = Entry {
        number,
        name: format!("entry {number} (line {})", section.at.line),
        scope: match (domains.is_empty(), instances.is_empty()) {
            (false, _) => Scope::Domains(domains),
            (true, false) => Scope::Instances,
            (true, true) => Scope::Personal,
        },
        mirrors,
        instances,
        region,
        role: assumed_role(section, notes),
        expire_duration: section
            .value("expireDuration", notes, |text| {
                text.parse().ok().filter(|it| (MIN_DURATION..=MAX_DURATION).contains(it))
            })
            .unwrap_or(EXPIRE_DURATION),
        session_name: section
            .value("roleSessionName", notes, session_name)
            .unwrap_or_else(|| SESSION_NAME.to_owned()),
        pull_only: section
            .value("sessionPolicy", notes, |text| (text == "pull-only").then_some(()))
            .is_some(),
        identity: identity?,
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

/// A mirror is of one entry, and its host of no other: else the order of entries would decide who
/// gets which login.
pub(super) fn mirrors_of_two(entries: &[Entry], notes: &mut Notes) {
    for (number, entry) in entries.iter().enumerate() {
        for mirror in &entry.mirrors {
            let has = |hosts: &[String]| hosts.contains(mirror);
            let key = entries.iter().enumerate().find_map(|(other, of)| match &of.scope {
                Scope::Domains(domains) if has(domains) => Some(("domains", of)),
                _ if other < number && has(&of.mirrors) => Some(("mirrors", of)),
                _ => None,
            });
            if let Some((key, other)) = key {
                let at = entry.written.place("mirrors").unwrap_or(Position::START);
                let message = format!(
                    "`mirrors` has `{}`, which `{key}` of {} has too: take it out of one of them",
                    quotable(mirror),
                    other.name
                );
                notes.problem_of(|| Note { at, message });
            }
        }
    }
}

fn assumed_role(section: &Section, notes: &mut Notes) -> Option<AssumedRole> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b);
    let external_id = section.value("externalId", notes, |text| {
        ((2..=1224).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_owned())
    });
    if section.given("assumeRoleARN").is_none() {
        if let Some(at) = section.given("externalId").filter(|_| external_id.is_some()) {
            let message = "`externalId` belongs to an assumed role: give `assumeRoleARN`";
            notes.problem(at, message);
        }
        return None;
    }
    let arn = section.value("assumeRoleARN", notes, RoleArn::parse)?;
    Some(AssumedRole { arn, external_id })
}

/// The name of a role session, as STS takes it.
#[must_use]
pub fn session_name(text: &str) -> Option<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b".@-_".contains(&b);
    ((2..=64).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_owned())
}
