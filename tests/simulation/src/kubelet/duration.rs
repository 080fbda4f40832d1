//! Go's `time.Duration` as text: what `time.ParseDuration` reads.

/// A signed span of time in whole nanoseconds, which is all that Go's type can hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(i64);

impl GoDuration {
    pub const ZERO: Self = Self(0);

    #[must_use]
    pub const fn from_nanoseconds(nanoseconds: i64) -> Self {
        Self(nanoseconds)
    }

    #[must_use]
    pub const fn from_seconds(seconds: i32) -> Self {
        Self(seconds as i64 * 1_000_000_000)
    }

    #[must_use]
    pub const fn nanoseconds(self) -> i64 {
        self.0
    }

    /// `time.ParseDuration`: an optional sign, then `0` or a run of decimal numbers with a unit
    /// each. No spaces, no unit larger than the hour, and no number without a unit but `0`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Some(Self::ZERO);
        }
        if rest.is_empty() {
            return None;
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (part, after) = parse_part(rest)?;
            total = total.checked_add(part).filter(|total| *total <= LARGEST_MAGNITUDE)?;
            rest = after;
        }
        if negative {
            Some(Self(0_i64.wrapping_sub_unsigned(total)))
        } else {
            i64::try_from(total).ok().map(Self)
        }
    }
}

const MINUTE: u64 = 60_000_000_000;

/// Sums are kept unsigned while parsing, so that the most negative duration can be written too.
const LARGEST_MAGNITUDE: u64 = 1 << 63;

/// One number with its unit, and what follows it.
fn parse_part(text: &str) -> Option<(u64, &str)> {
    let (whole, rest) = split_digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => split_digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let unit_ends = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_ends);
    let unit = nanoseconds_of(unit)?;
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let part = whole.checked_mul(unit)?.checked_add(fraction_of(fraction, unit))?;
    (part <= LARGEST_MAGNITUDE).then_some((part, rest))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// Both signs for "micro" are units: U+00B5 and the Greek letter U+03BC.
fn nanoseconds_of(unit: &str) -> Option<u64> {
    match unit {
        "ns" => Some(1),
        "us" | "\u{b5}s" | "\u{3bc}s" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000),
        "m" => Some(MINUTE),
        "h" => Some(60 * MINUTE),
        _ => None,
    }
}

/// The nanoseconds of `0.<digits>` units. Go calculates in floating point: with many digits it can be
/// a nanosecond off.
fn fraction_of(digits: &str, unit: u64) -> u64 {
    let nanoseconds = |(digit, place): (u8, u64)| u64::from(digit - b'0') * unit / place;
    let places = (1..=15).map(|place| 10_u64.pow(place));
    digits.bytes().zip(places).map(nanoseconds).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<i64> {
        GoDuration::parse(text).map(GoDuration::nanoseconds)
    }

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn what_go_accepts() {
        for (text, nanoseconds) in [
            ("3600s", 3600 * SECOND),
            ("1h", 3600 * SECOND),
            ("1h30m", 5400 * SECOND),
            ("1h0m0s", 3600 * SECOND),
            ("1.5h", 5400 * SECOND),
            ("90m0.5s", 5400 * SECOND + SECOND / 2),
            ("250ms", SECOND / 4),
            ("21.6µs", 21_600),
            ("21.6\u{3bc}s", 21_600),
            ("21.6us", 21_600),
            ("7ns", 7),
            ("0", 0),
            ("+0", 0),
            ("-0", 0),
            ("0s", 0),
            ("-5m", -300 * SECOND),
            ("+5m", 300 * SECOND),
            ("1.s", SECOND),
            (".5s", SECOND / 2),
            ("1s1s", 2 * SECOND),
            ("0.9ns", 0),
            ("0.100000000000000000000h", 360 * SECOND),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
            ("2562047h47m16.854775807s", i64::MAX),
        ] {
            assert_eq!(parse(text), Some(nanoseconds), "{text:?}");
        }
    }

    #[test]
    fn what_go_rejects() {
        for text in [
            "",
            "-",
            "+",
            "1d",
            "1w",
            "PT1H",
            "1h 30m",
            "1 h",
            " 1h",
            "1h ",
            "3600",
            "00",
            "1",
            ".s",
            "-.s",
            ".",
            "s",
            "1.2.3s",
            "1H",
            "1S",
            "1sec",
            "1e3s",
            "--1s",
            "1h-1m",
            "１s",
            "1h30",
            "0x1s",
            "9223372036854775808ns",
            "-9223372036854775809ns",
            "2562048h",
            "18446744073709551616ns",
            "9223372036854775808ns9223372036854775808ns",
            "1,5h",
            "null",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
