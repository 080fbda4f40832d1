//! The table as written, and whether it is complete.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::case::{ACS3, Case, V1, When};
use super::renewal;
use crate::TESTS;

/// What the table must have, so that no part of it can go unnoticed.
const HOPS: [&str; 12] = [
    "metadata-token",
    "metadata-role-name",
    "metadata-role-document",
    "metadata-region",
    "credentials-uri",
    "assume-role-with-oidc",
    "assume-role",
    "get-authorization-token",
    "list-instance",
    "list-instance-endpoint",
    "personal-tokens",
    "registry-challenge",
];
/// Those of them whose calls are signed.
const SIGNED: [&str; 5] = [
    "assume-role",
    "get-authorization-token",
    "list-instance",
    "list-instance-endpoint",
    "personal-tokens",
];
const FAULTS: [&str; 30] = [
    "refused",
    "reset",
    "closed",
    "hang",
    "drip",
    "truncated",
    "http-500",
    "http-502",
    "http-503",
    "throttled",
    "http-429",
    "denied",
    "is-success-false",
    "redirect",
    "not-json",
    "empty",
    "other-json",
    "huge",
    "date-ahead",
    "date-behind",
    "date-day-ahead",
    "date-day-behind",
    "date-missing",
    "date-garbage",
    "stamp-refused",
    "clock-ahead",
    "clock-behind",
    "clock-undated",
    "clock-misdated",
    "clock-lied",
];

/// A hop, and a run that reaches it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Journey {
    pub(super) about: String,
    /// What the first line calls the hop.
    pub(super) named: String,
    pub(super) image: String,
    pub(super) config: Json,
    #[serde(default)]
    pub(super) cloud: Json,
    pub(super) cache_duration: String,
    #[serde(default)]
    pub(super) pulls: Option<String>,
    #[serde(default)]
    pub(super) pulls_personal: Option<String>,
    /// With the cloud's addresses in `${…}`.
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    /// Nothing that the run obtains is kept on the node.
    #[serde(default)]
    pub(super) never_kept: bool,
    /// The node knows the hop's result for longer than a login lives.
    #[serde(default)]
    pub(super) remembered: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Fault {
    pub(super) about: String,
    #[serde(default)]
    pub(super) hop: Option<Json>,
    #[serde(default)]
    pub(super) world: Json,
    #[serde(default)]
    pub(super) timeout: Timeout,
    #[serde(default)]
    pub(super) no_once: Option<String>,
    /// The service says no, in its own words.
    #[serde(default)]
    pub(super) refusal: bool,
    /// What is said of it even by a run that does not visit the hop.
    #[serde(default)]
    pub(super) noticed_anyway: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Timeout {
    pub(super) always: String,
    pub(super) once: String,
    pub(super) renewal: String,
}

impl Default for Timeout {
    fn default() -> Self {
        let usual = || "25s".to_owned();
        Self { always: usual(), once: usual(), renewal: usual() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(default)]
    always: Option<Expected>,
    #[serde(default)]
    once: Option<Expected>,
    /// Where it is not what `renewal` makes of `always`.
    #[serde(default)]
    due: Option<Expected>,
    /// Why there is nothing to expect.
    #[serde(default)]
    senseless: Option<String>,
}

#[derive(Clone, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Expected {
    pub(super) exit: i32,
    pub(super) calls: Calls,
    #[serde(default)]
    pub(super) says: Option<String>,
    #[serde(default)]
    pub(super) named: Option<String>,
    #[serde(default)]
    pub(super) cache_duration: Option<String>,
    #[serde(default)]
    pub(super) login: Login,
}

/// Which login there is, if there is one.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Login {
    #[default]
    New,
    /// The one that the node had.
    Old,
}

/// `2` or `1-3`.
#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(try_from = "Json")]
pub(super) struct Calls {
    pub(super) least: usize,
    pub(super) most: usize,
}

impl TryFrom<Json> for Calls {
    type Error = String;

    fn try_from(written: Json) -> Result<Self, String> {
        let text = written.as_str().map_or_else(|| written.to_string(), str::to_owned);
        let (least, most) = text.split_once('-').unwrap_or((&text, &text));
        match (least.parse(), most.parse()) {
            (Ok(least), Ok(most)) if least <= most => Ok(Self { least, most }),
            _ => Err(format!("calls: `{text}` is neither `2` nor `1-3`")),
        }
    }
}

/// Rows by hop and fault that are run with an even older login, too.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Later {
    ending: BTreeMap<String, Vec<String>>,
    ended: BTreeMap<String, Vec<String>>,
}

pub(super) struct Tables {
    pub(super) journeys: BTreeMap<String, Journey>,
    pub(super) faults: BTreeMap<String, Fault>,
    rows: BTreeMap<String, BTreeMap<String, Row>>,
    later: Later,
    /// Why a run is not yet as it should be, by its name.
    deviations: BTreeMap<String, String>,
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    let text = fs::read_to_string(format!("{TESTS}/faults/{name}.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}.yaml: {error}"))
}

impl Tables {
    pub(super) fn read() -> Self {
        Self {
            journeys: read("hops"),
            faults: read("faults"),
            rows: read("table"),
            later: read("later"),
            deviations: read("deviations"),
        }
    }

    /// What of the table is missing, or should not be there.
    pub(super) fn gaps(&self) -> Vec<String> {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let (hops, faults): (BTreeSet<String>, BTreeSet<String>) = (names(&HOPS), names(&FAULTS));
        let mut gaps = Vec::new();
        let mut compare = |what: &str, is: BTreeSet<String>, should: &BTreeSet<String>| {
            let differing: Vec<_> = is.symmetric_difference(should).cloned().collect();
            if !differing.is_empty() {
                gaps.push(format!("{what}: missing or too much: {}", differing.join(", ")));
            }
        };
        compare("hops.yaml", self.journeys.keys().cloned().collect(), &hops);
        compare("faults.yaml", self.faults.keys().cloned().collect(), &faults);
        compare("table.yaml", self.rows.keys().cloned().collect(), &hops);
        for (hop, rows) in &self.rows {
            compare(hop, rows.keys().cloned().collect(), &faults);
        }
        for (hop, rows) in &self.rows {
            let told = rows.iter().filter_map(|(fault, row)| {
                let wrong = row.gap(self.journeys.get(hop)?, self.faults.get(fault)?)?;
                Some(format!("{hop}, {fault}: {wrong}"))
            });
            gaps.extend(told);
        }
        let about = self.journeys.iter().map(|(hop, journey)| (hop, &journey.about));
        let about = about.chain(self.faults.iter().map(|(name, fault)| (name, &fault.about)));
        let silent = about.filter(|(_, about)| about.trim().is_empty());
        gaps.extend(silent.map(|(name, _)| format!("{name} says not what it is about")));
        for (name, rows) in [("ending", &self.later.ending), ("ended", &self.later.ended)] {
            if rows.is_empty() {
                gaps.push(format!("later.yaml: {name} has no rows"));
            }
            let pairs = rows.iter().flat_map(|(hop, of)| of.iter().map(move |fault| (hop, fault)));
            let idle = pairs.filter(|(hop, fault)| self.always(hop, fault).is_none());
            gaps.extend(
                idle.map(|(hop, fault)| {
                    format!("later.yaml: nothing is expected of {hop}, {fault}")
                }),
            );
        }
        let names = self.names();
        let idle = self.deviations.keys().filter(|name| !names.contains(*name));
        gaps.extend(idle.map(|name| format!("deviations.yaml: there is no run `{name}`")));
        gaps
    }

    /// The names of all runs.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let cold = self.cold();
        let other = Self::with_the_other_signature(&cold);
        cold.iter().chain(&other).chain(&self.with_an_old_login()).map(Case::name).collect()
    }

    /// The runs on a cold node.
    pub(super) fn cold(&self) -> Vec<Case<'_>> {
        let both = self.rows().flat_map(|(hop, fault, row)| {
            let always = row.always.iter().map(|expected| (When::Always, expected));
            let once = row.once.iter().map(|expected| (When::Once, expected));
            let case = move |(when, expected): (_, &Expected)| {
                self.case(hop, fault, when, expected.clone())
            };
            always.chain(once).map(case)
        });
        both.collect()
    }

    /// The runs of signed hops once more, with ACS3-HMAC-SHA256: nothing else differs.
    pub(super) fn with_the_other_signature<'t>(cold: &[Case<'t>]) -> Vec<Case<'t>> {
        let signed = cold.iter().filter(|case| SIGNED.contains(&case.hop));
        signed.map(|case| Case { signature: ACS3, ..case.clone() }).collect()
    }

    /// The runs on a node that has a login already.
    pub(super) fn with_an_old_login(&self) -> Vec<Case<'_>> {
        let runs = self.rows().flat_map(|(hop, fault, row)| {
            let is_in = |rows: &BTreeMap<String, Vec<String>>| {
                rows.get(hop).is_some_and(|faults| faults.iter().any(|name| name == fault))
            };
            let mut moments = vec![When::Due];
            moments.extend(is_in(&self.later.ending).then_some(When::Ending));
            moments.extend(is_in(&self.later.ended).then_some(When::Ended));
            let always = row.always.as_ref();
            let of = move |always, when| {
                let derived =
                    renewal::expected(&self.journeys[hop], &self.faults[fault], always, when);
                let written = row.due.clone().filter(|_| when == When::Due);
                self.case(hop, fault, when, written.unwrap_or(derived))
            };
            moments.into_iter().filter_map(move |when| always.map(|always| of(always, when)))
        });
        runs.collect()
    }

    fn rows(&self) -> impl Iterator<Item = (&str, &str, &Row)> {
        self.rows.iter().flat_map(|(hop, rows)| {
            rows.iter().map(move |(fault, row)| (hop.as_str(), fault.as_str(), row))
        })
    }

    fn always(&self, hop: &str, fault: &str) -> Option<&Expected> {
        self.rows.get(hop)?.get(fault)?.always.as_ref()
    }

    fn case<'t>(
        &'t self,
        hop: &'t str,
        fault: &'t str,
        when: When,
        expected: Expected,
    ) -> Case<'t> {
        let mut case = Case { hop, fault, when, signature: V1, expected, deviates: false };
        case.deviates = self.deviations.contains_key(&case.name());
        case
    }
}

impl Row {
    fn gap(&self, journey: &Journey, fault: &Fault) -> Option<&'static str> {
        let derived = |always| renewal::expected(journey, fault, always, When::Due);
        if self.due.is_some() && self.due == self.always.as_ref().map(derived) {
            return Some("`due` is as the rules have it");
        }
        let single = Calls { least: 1, most: 1 };
        match (&self.always, &self.once, &self.senseless) {
            (None, None, Some(reason)) if !reason.trim().is_empty() && self.due.is_none() => None,
            (Some(_), Some(_), None) if fault.no_once.is_some() => {
                Some("this fault does not pass after a call, so there is no `once`")
            }
            (Some(always), once, None) => match (once, always.calls == single) {
                (Some(_), true) => Some("after one call `once` is the same run as `always`"),
                (None, false) if fault.no_once.is_none() => Some("`once` is missing"),
                _ => None,
            },
            _ => Some("neither an expectation nor a reason why there is none"),
        }
    }
}
