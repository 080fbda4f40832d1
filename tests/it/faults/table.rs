//! The table as written, and whether it is complete.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use simulation::cloud::Hop;

use crate::TESTS;

/// What the table must have, so that no part of it can go unnoticed.
const HOPS: [&str; 11] = [
    "metadata-token",
    "metadata-role-name",
    "metadata-role-document",
    "metadata-region",
    "assume-role-with-oidc",
    "assume-role",
    "get-authorization-token",
    "list-instance",
    "list-instance-endpoint",
    "personal-tokens",
    "registry-challenge",
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Timeout {
    pub(super) always: String,
    pub(super) once: String,
}

impl Default for Timeout {
    fn default() -> Self {
        Self { always: "10s".to_owned(), once: "10s".to_owned() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(default)]
    always: Option<Expected>,
    #[serde(default)]
    once: Option<Expected>,
    /// Why there is nothing to expect.
    #[serde(default)]
    senseless: Option<String>,
}

#[derive(Clone, Deserialize)]
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

pub(super) struct Tables {
    pub(super) journeys: BTreeMap<String, Journey>,
    pub(super) faults: BTreeMap<String, Fault>,
    rows: BTreeMap<String, BTreeMap<String, Row>>,
    /// Why a row does not hold yet, by hop and fault.
    deviations: BTreeMap<String, BTreeMap<String, String>>,
}

/// One run: a fault at a hop, on all calls or on the first.
pub(super) struct Case<'t> {
    pub(super) hop: &'t str,
    pub(super) fault: &'t str,
    pub(super) once: bool,
    pub(super) expected: &'t Expected,
    /// The row is known not to hold.
    pub(super) deviates: bool,
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
                let wrong = self.faults.get(fault).and_then(|of| row.gap(of))?;
                Some(format!("{hop}, {fault}: {wrong}"))
            });
            gaps.extend(told);
        }
        let about = self.journeys.iter().map(|(hop, journey)| (hop, &journey.about));
        let about = about.chain(self.faults.iter().map(|(name, fault)| (name, &fault.about)));
        let silent = about.filter(|(_, about)| about.trim().is_empty());
        gaps.extend(silent.map(|(name, _)| format!("{name} says not what it is about")));
        for (hop, deviations) in &self.deviations {
            for fault in deviations.keys() {
                let row = self.rows.get(hop).and_then(|rows| rows.get(fault));
                if row.is_none_or(|row| row.always.is_none()) {
                    gaps.push(format!("deviations.yaml: nothing is expected of {hop}, {fault}"));
                }
            }
        }
        gaps
    }

    pub(super) fn cases(&self) -> Vec<Case<'_>> {
        let rows = self.rows.iter().flat_map(|(hop, rows)| {
            rows.iter().map(move |(fault, row)| (hop.as_str(), fault.as_str(), row))
        });
        let both = rows.flat_map(|(hop, fault, row)| {
            let deviates = self.deviations.get(hop).is_some_and(|of| of.contains_key(fault));
            let case = move |once, expected| Case { hop, fault, once, expected, deviates };
            let always = row.always.iter().map(move |expected| case(false, expected));
            always.chain(row.once.iter().map(move |expected| case(true, expected)))
        });
        both.collect()
    }
}

impl Case<'_> {
    /// `assume-role reset once`.
    pub(super) fn name(&self) -> String {
        format!("{} {} {}", self.hop, self.fault, if self.once { "once" } else { "always" })
    }

    /// The hop as the cloud knows it.
    pub(super) fn place(&self) -> Hop {
        serde_json::from_value(self.hop.into()).unwrap()
    }
}

impl Row {
    fn gap(&self, fault: &Fault) -> Option<&'static str> {
        let single = Calls { least: 1, most: 1 };
        match (&self.always, &self.once, &self.senseless) {
            (None, None, Some(reason)) if !reason.trim().is_empty() => None,
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
