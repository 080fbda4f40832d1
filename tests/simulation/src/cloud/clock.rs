//! The clock of the simulated services: the machine's, shifted as the world says and as a test
//! moves it.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};

/// How far a request's time may be from the service's before it is `InvalidTimeStamp.Expired`: seen
/// in the words "not within 15 minutes".
const TOLERANCE: SignedDuration = SignedDuration::from_mins(15);

#[derive(Debug, Default)]
pub(super) struct Clock {
    /// Seconds by which the services are ahead of this machine; what a node with a wrong clock
    /// meets.
    offset: AtomicI64,
    /// Seconds that a test let pass.
    advanced: AtomicI64,
}

impl Clock {
    pub(super) fn now(&self) -> Timestamp {
        let shift = self.offset.load(Ordering::SeqCst) + self.advanced.load(Ordering::SeqCst);
        machine() + SignedDuration::from_secs(shift)
    }

    pub(super) fn set_offset(&self, seconds: i64) {
        self.offset.store(seconds, Ordering::SeqCst);
    }

    pub(super) fn advance(&self, seconds: i64) {
        self.advanced.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(super) fn tolerates(&self, told: Timestamp) -> bool {
        told.duration_since(self.now()).abs() <= TOLERANCE
    }
}

/// The machine's own time, for what is read by programs beside the simulation.
#[expect(clippy::disallowed_methods, reason = "this is where the simulation takes the time")]
pub(super) fn machine() -> Timestamp {
    Timestamp::now()
}

/// `YYYY-MM-DDTHH:MM:SSZ`, UTC, no fraction: the form of every time in the APIs and in instance
/// metadata [cgo].
pub(super) fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Reads exactly the form that [`iso`] writes.
pub(super) fn parse_iso(text: &str) -> Option<Timestamp> {
    let at: Timestamp = text.parse().ok()?;
    (iso(at) == text).then_some(at)
}

/// `Fri, 01 Mar 2024 08:09:10 GMT`: the `Date` header, in answers and in ROA requests [pysdk].
pub(super) fn http_date(at: Timestamp) -> String {
    rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&at)
        .expect("the years of this simulation fit an HTTP date")
}

/// Reads exactly the form that [`http_date`] writes.
pub(super) fn parse_http_date(text: &str) -> Option<Timestamp> {
    let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    (http_date(at) == text).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_one_form_only() {
        let at = Timestamp::from_second(1_709_280_550).unwrap();
        assert_eq!(iso(at), "2024-03-01T08:09:10Z");
        assert_eq!(parse_iso("2024-03-01T08:09:10Z"), Some(at));
        assert_eq!(parse_iso("2024-03-01T08:09:10.000Z"), None);
        assert_eq!(parse_iso("2024-03-01T09:09:10+01:00"), None);
        assert_eq!(http_date(at), "Fri, 01 Mar 2024 08:09:10 GMT");
        assert_eq!(parse_http_date("Fri, 01 Mar 2024 08:09:10 GMT"), Some(at));
        assert_eq!(parse_http_date("Fri, 1 Mar 2024 08:09:10 +0000"), None);
    }

    #[test]
    fn fifteen_minutes_are_tolerated_and_no_more() {
        let clock = Clock::default();
        clock.set_offset(3600);
        let now = clock.now();
        assert!(clock.tolerates(now - SignedDuration::from_secs(890)));
        assert!(clock.tolerates(now + SignedDuration::from_secs(890)));
        assert!(!clock.tolerates(now - SignedDuration::from_secs(910)));
        assert!(!clock.tolerates(now + SignedDuration::from_secs(910)));
        assert!(!clock.tolerates(now - SignedDuration::from_secs(3600)));
    }
}
