//! Durations as Go writes and reads them, since the kubelet and the vendor's helper do.

use std::time::Duration;

/// Seconds in Go's form, as `time.Duration.String` prints them: `1h0m0s`, `59m30s`, `0s`.
#[must_use]
pub fn format_go(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// A duration such as `15m`, `1h30m`, `25s` or `500ms`; whole numbers with a unit each, no sign.
#[must_use]
pub fn parse_go(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() || text.is_empty() {
        let (number, after) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?;
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        let number: u64 = number.parse().ok()?;
        let part = match unit {
            "h" => Duration::from_secs(number.checked_mul(3600)?),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "s" => Duration::from_secs(number),
            "ms" => Duration::from_millis(number),
            _ => return None,
        };
        total = total.checked_add(part)?;
        rest = after;
    }
    Some(total)
}

/// Whether Go would take a text as a duration of no less than 0. `0` alone is left out: as YAML that
/// is a number, and no text.
#[must_use]
pub fn is_go(text: &str) -> bool {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut is_one = false;
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number = rest.strip_suffix(unit).unwrap_or_default();
        let is_number = number.matches('.').count() <= 1 && number.contains(|c| c != '.');
        let after = unit.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.');
        let unit = unit.strip_suffix(after).unwrap_or_default();
        if !is_number || !["ns", "us", "µs", "μs", "ms", "s", "m", "h"].contains(&unit) {
            return false;
        }
        (rest, is_one) = (after, true);
    }
    is_one
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
    fn reads_whole_numbers_with_units_only() {
        assert_eq!(parse_go("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(parse_go("500ms"), Some(Duration::from_millis(500)));
        for not in [
            "",
            "15",
            "m",
            "1d",
            "-5m",
            "1 h",
            "1.5h",
            "5mm",
            "99999999999999999999s",
            "6000000000000000h",
        ] {
            assert_eq!(parse_go(not), None, "{not}");
        }
    }

    #[test]
    fn what_go_takes() {
        for text in ["0s", "1.5h", "1h30m", "500ms", ".5s", "1.s", "+5m", "10us", "1µs"] {
            assert!(is_go(text), "{text}");
        }
        for text in ["", "+", "0", "3600", "1d", "-5m", "1 h", "5mm", ".s", "1.2.3s", "h", "5m3"] {
            assert!(!is_go(text), "{text}");
        }
    }
}
