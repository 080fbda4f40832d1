//! One run of the table: which fault, where, and what the node has by then.

use simulation::cloud::Hop;

use super::table::Expected;

/// The signatures that calls may have.
pub(super) const V1: &str = "v1";
pub(super) const ACS3: &str = "acs3";

/// One run: a fault at a hop.
#[derive(Clone)]
pub(super) struct Case<'t> {
    pub(super) hop: &'t str,
    pub(super) fault: &'t str,
    pub(super) when: When,
    /// `signature` in the configuration.
    pub(super) signature: &'static str,
    pub(super) expected: Expected,
    /// It is known not to be as expected.
    pub(super) deviates: bool,
}

impl Case<'_> {
    /// `assume-role reset once`, and `assume-role reset once acs3` with the other signature.
    pub(super) fn name(&self) -> String {
        let signature = if self.signature == V1 { "" } else { " acs3" };
        format!("{} {} {}{signature}", self.hop, self.fault, self.when.name())
    }

    /// The hop as the cloud knows it.
    pub(super) fn place(&self) -> Hop {
        serde_json::from_value(self.hop.into()).unwrap()
    }
}

/// What the node has when the fault comes, and which calls meet it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum When {
    /// Nothing; all calls.
    Always,
    /// Nothing; the first call.
    Once,
    /// A login that is due for renewal; all calls, as below.
    Due,
    /// A login that has less left than the margin.
    Ending,
    /// A login that has ended.
    Ended,
}

impl When {
    fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Once => "once",
            Self::Due => "due",
            Self::Ending => "ending",
            Self::Ended => "ended",
        }
    }

    /// The age in seconds of the login that the node has. All of them live for an hour, are renewed
    /// in its last quarter, and keep a margin of 30 s.
    pub(super) fn login_age(self) -> Option<u32> {
        match self {
            Self::Always | Self::Once => None,
            Self::Due => Some(3000),
            Self::Ending => Some(3575),
            Self::Ended => Some(3700),
        }
    }
}
