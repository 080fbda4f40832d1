//! Faults: what goes wrong with the answer to which call of a hop.
//!
//! A faulted call is worked on like any other (its signature is checked, its nonce is used up), and
//! then its answer is spoilt: that is what a client sees of a gateway or a line that fails.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::hop::Hop;
use super::lock;

/// The parts can be combined: `{calls: 1, delay-ms: 300, date: missing, transfer: chunked}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Fault {
    /// Which calls of the hop, counted from 1: `all` (default), `2`, `1-2`, `3-`.
    pub calls: Calls,
    /// Wait before anything else happens.
    pub delay_ms: u64,
    pub connection: Option<BrokenConnection>,
    /// Another answer in place of the real one.
    pub instead: Option<Instead>,
    pub date: Option<DateFault>,
    pub transfer: Option<Transfer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BrokenConnection {
    /// Nobody listens on the port. It holds for the hop's whole service and for all calls: what
    /// is refused is not seen, so it cannot be counted. See also `Cloud::take_down`.
    Refuse,
    /// The request is read, then the connection is torn down with a TCP reset.
    Reset,
    /// The request is read, then the connection is closed in good order, without an answer.
    Close,
    /// The request is read, and nothing more happens until the client gives up.
    Hang,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Instead {
    /// 200 and a web page, as from a captive portal.
    Html,
    /// The real answer, padded to more than 512 KiB.
    Huge,
    /// 302 to a place where every request is recorded as a violation.
    Redirect,
    /// An error in the service's own form.
    Error(ErrorAnswer),
    /// 200 with `"IsSuccess": false` [dcah].
    Unsuccessful(Unsuccessful),
    /// Any status and body.
    Answer(Answer),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ErrorAnswer {
    pub status: u16,
    pub code: String,
    #[serde(default = "some_message")]
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Unsuccessful {
    pub code: String,
    #[serde(default = "some_message")]
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Answer {
    #[serde(default = "ok")]
    pub status: u16,
    #[serde(default = "json")]
    pub content_type: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DateFault {
    Missing,
    /// Present, but no date.
    Garbage,
    /// Seconds added to the service's clock in this one header.
    Offset(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transfer {
    /// `Transfer-Encoding: chunked` (not wrong at all).
    Chunked,
    /// `Content-Length` tells of more than is sent.
    Truncated,
    /// The whole answer, head included, at so many bytes a second.
    BytesPerSecond(u32),
}

fn some_message() -> String {
    "A failure that the simulation was told to have.".to_owned()
}

fn ok() -> u16 {
    200
}

fn json() -> String {
    "application/json;charset=utf-8".to_owned()
}

/// A range of calls of one hop, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenCalls", into = "String")]
pub struct Calls {
    first: u32,
    last: u32,
}

impl Calls {
    pub const ALL: Self = Self { first: 1, last: u32::MAX };

    fn include(self, call: u32) -> bool {
        (self.first..=self.last).contains(&call)
    }
}

impl Default for Calls {
    fn default() -> Self {
        Self::ALL
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenCalls {
    Number(u32),
    Text(String),
}

impl TryFrom<WrittenCalls> for Calls {
    type Error = String;

    fn try_from(written: WrittenCalls) -> Result<Self, String> {
        let text = match written {
            WrittenCalls::Number(number) => number.to_string(),
            WrittenCalls::Text(text) => text,
        };
        let bad = || format!("calls: `{text}` is not `all`, `2`, `1-2` or `3-`");
        let number = |text: &str| text.parse::<u32>().map_err(|_| bad());
        let calls = match text.split_once('-') {
            _ if text == "all" => Self::ALL,
            None => Self { first: number(&text)?, last: number(&text)? },
            Some((first, "")) => Self { first: number(first)?, last: u32::MAX },
            Some((first, last)) => Self { first: number(first)?, last: number(last)? },
        };
        if calls.first == 0 || calls.last < calls.first { Err(bad()) } else { Ok(calls) }
    }
}

impl From<Calls> for String {
    fn from(calls: Calls) -> Self {
        match calls {
            Calls::ALL => "all".to_owned(),
            Calls { first, last: u32::MAX } => format!("{first}-"),
            Calls { first, last } => format!("{first}-{last}"),
        }
    }
}

/// The calls that each hop has had.
#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<BTreeMap<Hop, u32>>);

impl Counters {
    /// Counts a call, and tells which of the hop's faults it meets.
    pub(super) fn meet<'a>(
        &self,
        hop: Hop,
        faults: &'a BTreeMap<Hop, Vec<Fault>>,
    ) -> Option<&'a Fault> {
        let call = {
            let mut counters = lock(&self.0);
            let counter = counters.entry(hop).or_default();
            *counter += 1;
            *counter
        };
        faults.get(&hop)?.iter().find(|fault| fault.calls.include(call))
    }

    pub(super) fn reset(&self) {
        lock(&self.0).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(written: &str) -> Result<Calls, String> {
        WrittenCalls::Text(written.to_owned()).try_into()
    }

    #[test]
    fn calls_are_counted_from_one() {
        assert_eq!(calls("all"), Ok(Calls::ALL));
        assert_eq!(calls("2"), Ok(Calls { first: 2, last: 2 }));
        assert_eq!(calls("1-2"), Ok(Calls { first: 1, last: 2 }));
        assert_eq!(calls("3-"), Ok(Calls { first: 3, last: u32::MAX }));
        for wrong in ["", "0", "0-1", "2-1", "-", "first", "1-x"] {
            assert!(calls(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_fault_that_names_the_call_applies() {
        let fault = |written: &str| Fault { calls: calls(written).unwrap(), ..Fault::default() };
        let faults = BTreeMap::from([(Hop::AssumeRole, vec![fault("2"), fault("2-3")])]);
        let counters = Counters::default();
        let meet = |hop| counters.meet(hop, &faults).map(|fault| String::from(fault.calls));
        assert_eq!(meet(Hop::AssumeRole), None);
        assert_eq!(meet(Hop::ListInstance), None);
        assert_eq!(meet(Hop::AssumeRole).as_deref(), Some("2-2"));
        assert_eq!(meet(Hop::AssumeRole).as_deref(), Some("2-3"));
        assert_eq!(meet(Hop::AssumeRole), None);
    }
}
