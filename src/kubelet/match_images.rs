//! Whether a pattern of `matchImages` hits an image, by the kubelet's rules (`keyring.go`,
//! `URLsMatchStr`): the same port or none, as many labels, each label a glob, and the pattern's
//! path a prefix of the image's.
//!
//! The kubelet puts `https://` before both and reads them as URLs. So a `?` begins a query rather
//! than standing for one character, and a pattern that begins with a class, or has `^` or `\` in its
//! host, is no URL: such a kubelet does not start.

use std::ops::RangeInclusive;

/// Whether a pattern hits an image; both without a scheme.
#[must_use]
pub fn matches(pattern: &str, image: &str) -> bool {
    let (Some(pattern), Some(image)) = (Url::parse(pattern), Url::parse(image)) else {
        return false;
    };
    let literal = |label: &str| Some(label.chars().map(|c| Token::One(vec![c..=c])).collect());
    image.path.starts_with(&pattern.path) && same_host(&pattern, &image, literal)
}

/// Whether a kubelet with this pattern does not start, for it is no URL: a port that is no number, or a
/// `%` without its two digits before any query.
#[must_use]
pub fn is_refused(pattern: &str) -> bool {
    let before = pattern.split(['?', '#']).next().unwrap_or_default();
    let authority = before.split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let port = host.split_once(':').map_or("", |(_, port)| port);
    unescape(before).is_none() || !port.bytes().all(|b| b.is_ascii_digit())
}

/// Whether some image is hit by both of two patterns.
#[must_use]
pub fn overlap(one: &str, other: &str) -> bool {
    let (Some(one), Some(other)) = (Url::parse(one), Url::parse(other)) else { return false };
    (one.path.starts_with(&other.path) || other.path.starts_with(&one.path))
        && same_host(&one, &other, glob)
}

/// As many labels, the same port, and for each pair of labels a text that is both.
fn same_host(pattern: &Url<'_>, other: &Url<'_>, tokens: fn(&str) -> Option<Vec<Token>>) -> bool {
    let labels = |url: &Url<'_>| url.host.split('.').count();
    pattern.port == other.port
        && labels(pattern) == labels(other)
        && pattern.host.split('.').zip(other.host.split('.')).all(|(glob_label, label)| {
            let tokens = (glob(glob_label), tokens(label));
            matches!(tokens, (Some(one), Some(two)) if have_common_text(&one, &two))
        })
}

/// What Go's `url.Parse` leaves of a text behind `https://`, as far as the kubelet looks at it.
struct Url<'t> {
    host: &'t str,
    /// Empty for none.
    port: &'t str,
    path: Vec<u8>,
}

impl<'t> Url<'t> {
    /// None for what is no URL, and for hosts that no image has: with an escape or an IPv6 address.
    fn parse(text: &'t str) -> Option<Self> {
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        let rest = rest.split_once('?').map_or(rest, |(rest, _query)| rest);
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let of = |text: &str, marks: &[u8]| {
            text.bytes().all(|b| b.is_ascii_alphanumeric() || !b.is_ascii() || marks.contains(&b))
        };
        let clean = of(user, b"-._~!$&'()*+,;=:")
            && of(host, b"-_.~!$&'()*+,;=:[]<>\"")
            && !host.starts_with('[')
            && !text.chars().any(|c| c.is_ascii_control());
        unescape(fragment)?;
        let port_fits = |(host, port): (&str, &str)| {
            // Behind a class Go does not split a port off, and then no label fits any more.
            port.bytes().all(|b| b.is_ascii_digit()) && !host.contains(['[', ']'])
        };
        (clean && host.split_once(':').is_none_or(port_fits)).then_some(())?;
        let (host, port) = host.split_once(':').unwrap_or((host, ""));
        Some(Self { host, port, path: unescape(path)? })
    }
}

/// Text with `%XX` for bytes.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        code.bytes().all(|b| b.is_ascii_hexdigit()).then_some(())?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(bytes)
}

/// A part of a glob.
enum Token {
    /// `*`: any characters.
    Run,
    /// One character that is in one of these.
    One(Vec<RangeInclusive<char>>),
}

/// Go's `filepath.Match`, as far as a host can have it: `*`, and classes such as `[a-z]`.
fn glob(label: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = label.chars();
    while let Some(c) = rest.next() {
        tokens.push(match c {
            '*' => Token::Run,
            '[' => {
                let (inside, behind) = rest.as_str().split_once(']')?;
                rest = behind.chars();
                Token::One(class(inside)?)
            }
            c => Token::One(vec![c..=c]),
        });
    }
    Some(tokens)
}

/// What stands between the brackets; a `-` that joins nothing is a mistake.
fn class(inside: &str) -> Option<Vec<RangeInclusive<char>>> {
    let mut ranges = Vec::new();
    let mut rest = inside.chars().peekable();
    while let Some(low) = rest.next() {
        let high = match rest.next_if_eq(&'-') {
            Some(_) => rest.next()?,
            None => low,
        };
        if low == '-' || high == '-' {
            return None;
        }
        ranges.push(low..=high);
    }
    (!ranges.is_empty()).then_some(ranges)
}

/// Whether some text is both.
fn have_common_text(one: &[Token], other: &[Token]) -> bool {
    // For what is left of `one`, beginning with nothing: whether it has a text in common with what
    // is left of `other`, from nothing to all of it.
    let mut known = vec![true];
    let mut all_runs = true;
    for token in other.iter().rev() {
        all_runs &= matches!(token, Token::Run);
        known.push(all_runs);
    }
    for left in one.iter().rev() {
        let (mut shorter_both, mut shorter_other) = (false, false);
        let ends = std::iter::once(None).chain(other.iter().rev().map(Some));
        known = ends
            .zip(known)
            .map(|(right, shorter_one)| {
                let common = match (left, right) {
                    (Token::Run, _) | (_, Some(Token::Run)) => shorter_one || shorter_other,
                    (Token::One(_), None) => false,
                    (Token::One(a), Some(Token::One(b))) => shorter_both && meet(a, b),
                };
                (shorter_both, shorter_other) = (shorter_one, common);
                common
            })
            .collect();
    }
    known.last().is_some_and(|common| *common)
}

fn meet(one: &[RangeInclusive<char>], other: &[RangeInclusive<char>]) -> bool {
    one.iter().any(|a| other.iter().any(|b| a.start().max(b.start()) <= a.end().min(b.end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps() {
        for (one, other, expected) in [
            ("*.cn-a.cr.aliyuncs.com", "acme-registry.*.cr.aliyuncs.com", true),
            ("*-registry.cn-a.cr.aliyuncs.com", "acme-*.cn-a.cr.aliyuncs.com", true),
            ("a*.x", "b*.x", false),
            ("*a.x", "*b.x", false),
            ("*a*.x", "*b*.x", true),
            ("a.x/team", "a.x/team/app", true),
            ("a.x/team-a", "a.x/team-b", false),
            ("a.x:443", "a.x", false),
            ("*.x", "a.b.x", false),
            ("x[ab].x", "x[bc].x", true),
            ("x[ab].x", "xc.x", false),
            ("[ab].x", "a.x", false),
        ] {
            assert_eq!(overlap(one, other), expected, "{one} {other}");
            assert_eq!(overlap(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn what_is_no_url() {
        for pattern in ["%invalid%", "a.x:*", "a.x:44*/team", "a.x/%zz"] {
            assert!(is_refused(pattern), "{pattern}");
        }
        for pattern in ["*.a.x", "a.x:443/*", "https://a.x", "a.x/b:c", "a.x/%20", ""] {
            assert!(!is_refused(pattern), "{pattern}");
        }
    }

    #[test]
    fn labels_ports_and_paths() {
        let image = "acme-registry.cn-hangzhou.cr.aliyuncs.com/team/app";
        for (pattern, hits) in [
            ("*.cn-hangzhou.cr.aliyuncs.com", true),
            ("*-registry.*.cr.aliyuncs.com", true),
            ("*.*.cr.aliyuncs.com/team", true),
            ("*.*.cr.aliyuncs.com/te", true),
            ("*.*.cr.aliyuncs.com/other", false),
            ("*.cr.aliyuncs.com", false),
            ("*.*.cr.aliyuncs.com:443", false),
            ("acme-registry.cn-hangzhou.cr.aliyuncs.com", true),
            ("a[a-d]me-registry.cn-hangzhou.cr.aliyuncs.com", true),
            ("a[d-f]me-registry.cn-hangzhou.cr.aliyuncs.com", false),
            ("[a-c]cme-registry.cn-hangzhou.cr.aliyuncs.com", false),
            ("?cme-registry.cn-hangzhou.cr.aliyuncs.com", false),
        ] {
            assert_eq!(matches(pattern, image), hits, "{pattern}");
        }
        assert!(matches("img.example.com:8443", "img.example.com:8443/a"));
    }
}
