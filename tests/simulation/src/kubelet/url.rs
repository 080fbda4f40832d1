//! Whether an image matches a pattern of `matchImages` or a key of `auth`.
//!
//! keyring.go `URLsMatchStr` answers for both. It leans on Go's `net/url`, and many of the ways in
//! which a plausible pattern matches nothing are that parser's: a `?` begins a query, a `%` an
//! escape, a scheme in front makes "https" the host. So that parser is followed step by step.

use std::error::Error;
use std::fmt;
use std::net::Ipv6Addr;

use super::glob::Glob;

/// A pattern or target that is not a URL, or a host label that is not a glob. In `matchImages` the former
/// keeps the kubelet from starting; the latter is not looked for there and never matches.
#[derive(Clone, Debug, PartialEq)]
pub struct BadUrl {
    pub text: String,
    pub problem: &'static str,
}

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parse {:?}: {}", self.text, self.problem)
    }
}

impl Error for BadUrl {}

/// keyring.go `URLsMatchStr`. Ports are equal as strings (none is a port of its own), hosts have
/// the same number of labels, the pattern's path is a prefix of the target's, byte by byte, and
/// each label matches as a glob.
pub fn urls_match(pattern: &str, target: &str) -> Result<bool, BadUrl> {
    let glob = parse_schemeless(pattern)?;
    let target = parse_schemeless(target)?;
    let (glob_host, glob_port) = split_host_port(&glob.host);
    let (target_host, target_port) = split_host_port(&target.host);
    if glob_port != target_port
        || glob_host.split('.').count() != target_host.split('.').count()
        || !target.path.starts_with(&glob.path)
    {
        return Ok(false);
    }
    for (glob, label) in glob_host.split('.').zip(target_host.split('.')) {
        let glob = Glob::parse(glob).ok_or_else(|| bad(pattern, "syntax error in pattern"))?;
        if !glob.matches(label) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What `url.Parse` leaves of a text, as far as the kubelet looks at it.
#[derive(Debug, PartialEq)]
pub(super) struct Url {
    /// With the port, without user information.
    pub host: String,
    /// Decoded. It need not be UTF-8 then.
    pub path: Vec<u8>,
}

/// keyring.go `ParseSchemelessURL`, which is all that configuration validation asks of a pattern:
/// `url.Parse("https://" + text)`.
pub(super) fn parse_schemeless(text: &str) -> Result<Url, BadUrl> {
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    if rest.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err(bad(text, "invalid control character in URL"));
    }
    let (rest, _query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = match authority.rsplit_once('@') {
        None => authority,
        Some((user, host)) => {
            check_user(user).map_err(|problem| bad(text, problem))?;
            host
        }
    };
    let url = Url {
        host: parse_host(host).map_err(|problem| bad(text, problem))?,
        path: unescape(path).map_err(|problem| bad(text, problem))?,
    };
    unescape(fragment).map_err(|problem| bad(text, problem))?;
    Ok(url)
}

fn check_user(user: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    if !user.bytes().all(allowed) {
        return Err("invalid userinfo");
    }
    unescape(user).map(drop)
}

/// `parseHost`. Brackets around a whole host hold an IPv6 address, as newer Go releases insist.
/// Those also refuse an opening bracket elsewhere, so a class inside a label (`k[a-z]s.example`) is
/// not a URL to a current kubelet.
fn parse_host(host: &str) -> Result<String, &'static str> {
    if host.rfind('[').is_some_and(|position| position > 0) {
        return Err("invalid IP-literal");
    }
    let port = if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.rsplit_once(']').ok_or("missing ']' in host")?;
        let address = address.split_once("%25").map_or(address, |(address, _zone)| address);
        if address.parse::<Ipv6Addr>().is_err() {
            return Err("invalid IP-literal");
        }
        port
    } else {
        host.rfind(':').map_or("", |position| host.split_at(position).1)
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return Err("invalid port after host");
    }
    unescape_host(host)
}

/// `unescape` in the mode for hosts: of ASCII only some punctuation may stand for itself, and
/// nothing of ASCII but `%` itself may be escaped.
fn unescape_host(host: &str) -> Result<String, &'static str> {
    let allowed = |byte: u8| {
        !byte.is_ascii()
            || byte.is_ascii_alphanumeric()
            || b"-_.~!$&'()*+,;=:[]<>\"%".contains(&byte)
    };
    if !host.bytes().all(allowed) {
        return Err("invalid character in host name");
    }
    for (position, _) in host.match_indices('%') {
        let digits = host.get(position + 1..position + 3);
        if digits.is_some_and(|digits| digits != "25" && digits < "8") {
            return Err("invalid URL escape");
        }
    }
    unescape(host).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn unescape(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let [high, low, after @ ..] = rest else {
            return Err("invalid URL escape");
        };
        let digit = |byte: &u8| u8::try_from(char::from(*byte).to_digit(16)?).ok();
        let (Some(high), Some(low)) = (digit(high), digit(low)) else {
            return Err("invalid URL escape");
        };
        decoded.push(high * 16 + low);
        rest = after;
    }
    Ok(decoded)
}

/// `net.SplitHostPort`; where that fails the kubelet takes the whole as host and no port.
fn split_host_port(host: &str) -> (&str, &str) {
    let split = if let Some(rest) = host.strip_prefix('[') {
        rest.split_once("]:").filter(|(_, port)| !port.contains(':'))
    } else {
        host.rsplit_once(':').filter(|(host, _)| !host.contains(':'))
    };
    split
        .filter(|(host, port)| !host.contains(['[', ']']) && !port.contains(['[', ']']))
        .unwrap_or((host, ""))
}

fn bad(text: &str, problem: &'static str) -> BadUrl {
    BadUrl { text: text.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_the_kubelet() {
        for (pattern, image, expected) in [
            // No path.
            ("*.kubernetes.io", "prefix.kubernetes.io", true),
            ("prefix.*.io", "prefix.kubernetes.io", true),
            ("prefix.kubernetes.*", "prefix.kubernetes.io", true),
            ("*-good.kubernetes.io", "prefix-good.kubernetes.io", true),
            ("app*.k8s.io", "app1.k8s.io", true),
            // Paths.
            ("*.kubernetes.io/blah", "prefix.kubernetes.io/blah", true),
            ("prefix.*.io/foo", "prefix.kubernetes.io/foo/bar", true),
            ("bar.example.com/pong", "bar.example.com/pongz", true),
            ("registry.io/team/", "registry.io/team/x", true),
            ("registry.io/team/", "registry.io/team2/x", false),
            ("registry.io/team/", "registry.io/team", false),
            ("registry.io/*", "registry.io/team/x", false),
            ("registry.io/", "registry.io/team/x", true),
            ("registry.io/", "registry.io", false),
            // Ports.
            ("*.kubernetes.io:1111/blah", "prefix.kubernetes.io:1111/blah", true),
            ("prefix.*.io:1111/foo", "prefix.kubernetes.io:1111/foo/bar", true),
            ("*.kubernetes.io:1234/blah", "prefix.kubernetes.io:1111/blah", false),
            ("prefix.*.io/foo", "prefix.kubernetes.io:1111/foo/bar", false),
            ("host.io", "host.io:443/a", false),
            ("host.io:443", "host.io/a", false),
            ("host.io:0443", "host.io:443/a", false),
            ("host.io:", "host.io/a", true),
            // The number of labels.
            ("*.kubernetes.io", "kubernetes.io", false),
            ("*.*.kubernetes.io", "prefix.kubernetes.io", false),
            ("*.*.kubernetes.io", "kubernetes.io", false),
            ("*.io", "a.b.io", false),
            ("*", "localhost/a", true),
            ("*", "reg.io/a", false),
            // Labels.
            ("kubernetes.io", "kubernetes.com", false),
            ("k*.io", "quay.io", false),
            ("K8s.io", "k8s.io", false),
            // What Go's URL parser makes of them.
            ("https://reg.io", "reg.io/a", false),
            ("app?.k8s.io", "app1.k8s.io", false),
            ("user:pw@reg.io", "reg.io/a", true),
            ("reg.io#x", "reg.io/a", true),
            ("reg.io/%74eam", "reg.io/team/a", true),
            ("[::1]:5000", "[::1]:5000/a", true),
        ] {
            assert_eq!(urls_match(pattern, image), Ok(expected), "{pattern} on {image}");
        }
    }

    #[test]
    fn what_is_no_url_is_an_error() {
        for pattern in [
            "%invalid%",
            "reg.io:*",
            "reg.io:5000x",
            "reg.io/%zz",
            "reg.io/%",
            "reg .io",
            "reg\t.io",
            "reg.io/\u{7f}",
            "%41.io",
            "\\*.io",
            "[^a].io",
            "[a-z].io",
            "[::1",
            "a b@reg.io",
            "reg.io#%z",
            "x[^a].io",
            "k[a-z]8s.io",
            "{a}.io",
            "reg.io|x",
        ] {
            assert!(parse_schemeless(pattern).is_err(), "{pattern:?}");
            assert!(urls_match(pattern, "reg.io/a").is_err(), "{pattern:?}");
        }
    }

    #[test]
    fn ports_are_split_off_where_go_does() {
        for (host, expected) in [
            ("a", ("a", "")),
            ("a:1", ("a", "1")),
            ("a:", ("a", "")),
            ("a:1:2", ("a:1:2", "")),
            ("[::1]:1", ("::1", "1")),
            ("[::1]", ("[::1]", "")),
            ("x[a-z]:1", ("x[a-z]:1", "")),
        ] {
            assert_eq!(split_host_port(host), expected, "{host}");
        }
    }
}
