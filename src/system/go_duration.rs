//! Durations as Go writes and reads them, since the kubelet and the vendor's helper do.

use std::time::Duration;

/// Seconds in Go's form, as `time.Duration.String` prints them: `1h0m0s`, `59m30s`, `0s`.
pub fn format_go(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// The units, in nanoseconds; micro is written in three ways.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
/// What Go's type holds, in nanoseconds: 292 years.
const LONGEST: u64 = i64::MAX.unsigned_abs();
/// Digits behind the point that count.
const MOST_DIGITS: usize = 18;

/// A duration as Go takes it, if it is no less than 0: numbers with a unit each, such as `15m`,
/// `1h30m`, `1.5h` or `500ms`, or `0` alone.
pub fn parse_go(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let in_number = |c: char| c.is_ascii_digit() || c == '.';
    let mut total: u64 = 0;
    loop {
        let (number, after) = rest.split_at_checked(rest.find(|c| !in_number(c))?)?;
        let end = after.find(in_number).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(times(number, unit)?)?;
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    (total <= LONGEST).then(|| Duration::from_nanos(total))
}

/// A number, with digits behind a point or not, times a whole one.
fn times(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') {
        return None;
    }
    let fraction = fraction.get(..MOST_DIGITS).unwrap_or(fraction);
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let digits = |digits: &str| format!("0{digits}").parse::<u64>().ok();
    let part = u128::from(digits(fraction)?) * u128::from(unit) / scale;
    digits(whole)?.checked_mul(unit)?.checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_go_does() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m0s"),
            (3570, "59m30s"),
            (3600, "1h0m0s"),
            (43_170, "11h59m30s"),
            (86_400, "24h0m0s"),
        ] {
            assert_eq!(format_go(seconds), text);
            assert_eq!(parse_go(text), Some(Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn reads_what_go_reads() {
        let nanoseconds = |text| parse_go(text).map(|read| read.as_nanos());
        for (text, expected) in [
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("1.5m", 90_000_000_000),
            ("+5m", 300_000_000_000),
            ("500ms", 500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("0.3333333333333333333h", 1_200_000_000_000 - 1),
            ("1us", 1_000),
            ("1µs1μs1ns", 2_001),
            ("0.9ns", 0),
            ("0", 0),
            ("+0", 0),
            ("0s", 0),
            ("9223372036854775807ns", i64::MAX.unsigned_abs().into()),
        ] {
            assert_eq!(nanoseconds(text), Some(expected), "{text}");
        }
        for not in [
            "",
            "+",
            "15",
            "00",
            "m",
            "1d",
            "-5m",
            "++5m",
            "1 h",
            "5mm",
            "5m3",
            ".s",
            ".",
            "1.2.3s",
            "1.22222222222222222222.3s",
            "1m 30s",
            "9223372036854775808ns",
            "99999999999999999999s",
            "6000000000000000h",
        ] {
            assert_eq!(parse_go(not), None, "{not}");
        }
    }
}
