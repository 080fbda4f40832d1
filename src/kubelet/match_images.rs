//! Whether a pattern of `matchImages` hits an image, by the kubelet's rules (`keyring.go`,
//! `URLsMatchStr`): the same port or none, as many labels, each label a glob, and the pattern's
//! path a prefix of the image's.
//!
//! The kubelet puts `https://` before both and reads them as URLs. So `?` begins a query, and does
//! not stand for one character. `[`, `^` and `\` make a host that is not a URL: with such a pattern a
//! current kubelet does not start. (Those built before Go refused `[` within a host took `[a-z]` for
//! a class of characters.) `*` is the only wildcard left.

use std::net::Ipv6Addr;

/// Whether a pattern hits an image; both without a scheme.
pub fn matches(pattern: &str, image: &str) -> bool {
    let (Some(pattern), Some(image)) = (Url::parse(pattern), Url::parse(image)) else {
        return false;
    };
    let literal = |label: &str| label.chars().map(Token::One).collect();
    image.path.starts_with(&pattern.path) && same_host(&pattern, &image, literal)
}

/// Whether a kubelet with this pattern does not start, for the pattern is not a URL.
pub fn is_refused(pattern: &str) -> bool {
    Url::parse(pattern).is_none()
}

/// Whether some image is hit by both of two patterns.
pub fn overlap(one: &str, other: &str) -> bool {
    let (Some(one), Some(other)) = (Url::parse(one), Url::parse(other)) else { return false };
    (one.path.starts_with(&other.path) || other.path.starts_with(&one.path))
        && same_host(&one, &other, glob)
}

/// What it leads to that an image matches providers with tokens and without.
pub const BOTH_LOGINS: &str =
    "the kubelet tries the logins of both, so the node's login lets in a pod that was refused";

/// The first patterns of two lists that some image matches both of. Each has its owner.
pub fn first_overlap<'l, O, P: AsRef<str>>(
    some: &'l [(O, P)],
    others: &'l [(O, P)],
) -> Option<[&'l (O, P); 2]> {
    some.iter().find_map(|one| {
        let other = others.iter().find(|other| overlap(one.1.as_ref(), other.1.as_ref()))?;
        Some([one, other])
    })
}

/// As many labels, the same port, and for each pair of labels a text that is both.
fn same_host(pattern: &Url<'_>, other: &Url<'_>, tokens: fn(&str) -> Vec<Token>) -> bool {
    let labels = |url: &Url<'_>| url.host.split('.').count();
    pattern.port == other.port
        && labels(pattern) == labels(other)
        && pattern
            .host
            .split('.')
            .zip(other.host.split('.'))
            .all(|(glob_label, label)| have_common_text(&glob(glob_label), &tokens(label)))
}

/// What Go's `url.Parse` leaves of a text behind `https://`, as far as the kubelet looks at it.
struct Url<'t> {
    host: &'t str,
    /// Empty for none.
    port: &'t str,
    path: Vec<u8>,
}

impl<'t> Url<'t> {
    /// None for a text that is not a URL.
    fn parse(text: &'t str) -> Option<Self> {
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        if rest.chars().any(|c| c.is_ascii_control()) {
            return None;
        }
        unescape(fragment)?;
        let rest = rest.split_once('?').map_or(rest, |(rest, _query)| rest);
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let of = |text: &str, marks: &[u8]| {
            text.bytes().all(|b| b.is_ascii_alphanumeric() || !b.is_ascii() || marks.contains(&b))
        };
        if !of(user, b"-._~!$&'()*+,;=:%@") || !user.is_ascii() {
            return None;
        }
        unescape(user)?;
        if !of(host, b"-_.~!$&'()*+,;=:[]<>\"%") || host.rfind('[').is_some_and(|at| at > 0) {
            return None;
        }
        // Of ASCII only `%` itself may be escaped in a host.
        let codes = host.split('%').skip(1).map(|code| code.get(..2).unwrap_or_default());
        if unescape(host).is_none() || codes.into_iter().any(|code| code != "25" && code < "8") {
            return None;
        }
        let port = match host.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.rsplit_once(']')?;
                let address = address.split_once("%25").map_or(address, |(address, _)| address);
                address.parse::<Ipv6Addr>().ok()?;
                port
            }
            None => host.rfind(':').map_or("", |at| host.split_at(at).1),
        };
        let digits = port.strip_prefix(':').or(Some(port).filter(|port| port.is_empty()))?;
        digits.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
        // With more than one `:` Go splits nothing off.
        let split = host.rsplit_once(':').filter(|(host, _)| !host.contains(':'));
        let (host, port) = split.unwrap_or((host, ""));
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
#[derive(PartialEq)]
enum Token {
    /// `*`: any characters.
    Run,
    One(char),
}

/// Go's `filepath.Match`, as far as a host can have it.
fn glob(label: &str) -> Vec<Token> {
    label.chars().map(|c| if c == '*' { Token::Run } else { Token::One(c) }).collect()
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
                    (Token::One(a), Some(Token::One(b))) => shorter_both && a == b,
                };
                (shorter_both, shorter_other) = (shorter_one, common);
                common
            })
            .collect();
    }
    known.last().is_some_and(|common| *common)
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
            ("x[ab].x", "xa.x", false),
        ] {
            assert_eq!(overlap(one, other), expected, "{one} {other}");
            assert_eq!(overlap(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn what_is_not_a_url() {
        for pattern in ["%invalid%", "a.x:*", "a.x:44*/team", "a.x/%zz", "a b.x", "a[bc].x"] {
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
            ("a[a-d]me-registry.cn-hangzhou.cr.aliyuncs.com", false),
            ("?cme-registry.cn-hangzhou.cr.aliyuncs.com", false),
        ] {
            assert_eq!(matches(pattern, image), hits, "{pattern}");
        }
        assert!(matches("img.example.com:8443", "img.example.com:8443/a"));
    }
}
