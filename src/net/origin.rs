//! Where a URL leads: what a connection needs of it.

/// Host, port and whether it is https.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// A name, or an address without brackets.
    pub host: String,
    pub port: u16,
    pub is_https: bool,
}

impl Origin {
    /// The origin of a URL; without a scheme it is http. User name and password are left out.
    pub fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let authority = rest.split(['/', '?']).next()?;
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let default = if scheme.eq_ignore_ascii_case("http") { 80 } else { 443 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !authority.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, default),
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        let is_https = scheme.eq_ignore_ascii_case("https");
        (!host.is_empty()).then_some(Self { host, port, is_https })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_urls() {
        let at =
            |host: &str, port, is_https| Some(Origin { host: host.to_owned(), port, is_https });
        assert_eq!(Origin::of("https://a.example/v2/"), at("a.example", 443, true));
        assert_eq!(Origin::of("HTTPS://a.example"), at("a.example", 443, true));
        assert_eq!(Origin::of("http://127.0.0.1:81"), at("127.0.0.1", 81, false));
        assert_eq!(Origin::of("https://[::1]:8443/x"), at("::1", 8443, true));
        assert_eq!(Origin::of("https://[::1]"), at("::1", 443, true));
        assert_eq!(Origin::of("user:word@proxy:3128"), at("proxy", 3128, false));
        assert_eq!(Origin::of("https:///v2/"), None);
        assert_eq!(Origin::of("http://:bad:port"), None);
    }
}
