//! Which requests go through a proxy: `HTTPS_PROXY` and `NO_PROXY` as Go's `httpproxy` reads them,
//! since kubelet and containerd read them so.

use std::net::IpAddr;

use crate::net::origin::Origin;

/// The proxy that a request goes through.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// With its scheme; it may hold a password.
    url: String,
    /// `host:port`, for messages.
    pub shown: String,
    /// The variable that it stands in.
    pub variable: &'static str,
}

/// A proxy's address as a variable of the environment has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub variable: &'static str,
    pub address: String,
}

/// A proxy's address that cannot be used, where a request would go through it, by its variable. The
/// address may hold a password, so messages leave it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    #[error("the proxy address in {0} is not a URL")]
    NotAUrl(&'static str),
    #[error("the proxy address in {0} has a scheme other than http and https")]
    Scheme(&'static str),
}

impl ProxyError {
    #[must_use]
    pub fn variable(&self) -> &'static str {
        let (Self::NotAUrl(variable) | Self::Scheme(variable)) = self;
        variable
    }
}

impl Proxy {
    /// Reads an address as `HTTPS_PROXY` has it: with a scheme, or `host:port` alone.
    ///
    /// # Errors
    ///
    /// For what is not the URL of an HTTP proxy.
    pub fn parse(Setting { variable, address }: &Setting) -> Result<Self, ProxyError> {
        let url = match address.split_once("://") {
            None => format!("http://{address}"),
            Some((scheme, _))
                if ["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) =>
            {
                address.to_owned()
            }
            Some(_) => return Err(ProxyError::Scheme(variable)),
        };
        let origin = Origin::of(&url).ok_or(ProxyError::NotAUrl(variable))?;
        Ok(Self { url, shown: format!("{}:{}", origin.host, origin.port), variable })
    }

    /// The whole address.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Whether `no_proxy` excepts an origin. Loopback is always excepted.
pub fn is_excepted(origin: &Origin, no_proxy: &str) -> bool {
    let host = origin.host.to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    let items = no_proxy.split(',').map(|item| item.trim().to_ascii_lowercase());
    items.filter(|item| !item.is_empty()).any(|item| match address {
        _ if item == "*" => true,
        Some(address) => excepts_address(&item, address, origin.port),
        None => excepts_name(&item, &host, origin.port),
    })
}

/// `10.0.0.0/8`, `10.0.0.1`, `10.0.0.1:443` or `[::1]:443`.
fn excepts_address(item: &str, address: IpAddr, port: u16) -> bool {
    if let Some((network, length)) = item.split_once('/') {
        let (Ok(network), Ok(length)) = (network.parse(), length.parse()) else { return false };
        return is_in(address, network, length);
    }
    if let Ok(named) = item.parse::<IpAddr>() {
        return named == address;
    }
    let Some((named, named_port)) = item.rsplit_once(':') else { return false };
    let named = named.trim_start_matches('[').trim_end_matches(']');
    named.parse() == Ok(address) && named_port.parse() == Ok(port)
}

/// `a.example` is the domain itself and what is under it; `.a.example` and `*.a.example` are only
/// what is under it. With a port an item means that port alone.
fn excepts_name(item: &str, host: &str, port: u16) -> bool {
    let (domain, named_port) = item.split_once(':').unwrap_or((item, ""));
    let domain = domain.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(domain);
    let (bare, with_itself) = match domain.strip_prefix('.') {
        Some(bare) => (bare, false),
        None => (domain, true),
    };
    let under = host.strip_suffix(bare).is_some_and(|rest| rest.ends_with('.'));
    let named = !bare.is_empty() && (under || (with_itself && host == bare));
    named && (named_port.is_empty() || named_port.parse() == Ok(port))
}

/// Whether an address is in the block of addresses that share the first `length` bits.
fn is_in(address: IpAddr, network: IpAddr, length: u32) -> bool {
    let (address, network, bits) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    let differing = address ^ network;
    length <= bits && differing.checked_shr(bits - length).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excepted(no_proxy: &str, url: &str) -> bool {
        is_excepted(&Origin::of(url).unwrap(), no_proxy)
    }

    /// As Go 1.26's `httpproxy` decides.
    #[test]
    fn what_no_proxy_excepts() {
        let sts = "https://sts.cn-hangzhou.aliyuncs.com";
        for item in [
            "*",
            "sts.cn-hangzhou.aliyuncs.com",
            "STS.cn-hangzhou.aliyuncs.com",
            "aliyuncs.com",
            ".aliyuncs.com",
            "*.aliyuncs.com",
            "*.cn-hangzhou.aliyuncs.com",
            "sts.cn-hangzhou.aliyuncs.com:443",
            ".aliyuncs.com:443",
            "*.aliyuncs.com:443",
            "a.example, .aliyuncs.com ,b.example",
        ] {
            assert!(excepted(item, sts), "{item}");
        }
        for item in [
            "",
            ",",
            ".",
            "*.",
            "yuncs.com",
            "sts",
            "*.sts.cn-hangzhou.aliyuncs.com",
            ".sts.cn-hangzhou.aliyuncs.com",
            "sts.cn-hangzhou.aliyuncs.com:80",
            "sts.*.aliyuncs.com",
            "*aliyuncs.com",
            "https://sts.cn-hangzhou.aliyuncs.com",
            "*:443",
            "10.0.0.0/8",
        ] {
            assert!(!excepted(item, sts), "{item}");
        }
    }

    #[test]
    fn addresses_are_excepted_by_themselves_and_by_their_block() {
        for item in ["10.1.2.3", "10.1.2.3:443", "10.0.0.0/8", "10.1.2.3/32", "0.0.0.0/0", "*"] {
            assert!(excepted(item, "https://10.1.2.3"), "{item}");
        }
        for item in ["10.1.2.4", "10.1.2.3:80", "11.0.0.0/8", "10.1.2.3/33", "2.3", "::/0"] {
            assert!(!excepted(item, "https://10.1.2.3"), "{item}");
        }
        for item in ["fd00::1", "[fd00::1]:443", "fd00::/8", "::/0"] {
            assert!(excepted(item, "https://[fd00::1]"), "{item}");
        }
    }

    #[test]
    fn loopback_is_always_direct() {
        for url in ["https://127.0.0.1:8443", "https://localhost", "https://[::1]"] {
            assert!(excepted("", url), "{url}");
        }
    }

    #[test]
    fn addresses_of_proxies() {
        let variable = "https_proxy";
        let shown = |address: &str| {
            let setting = Setting { variable, address: address.to_owned() };
            Proxy::parse(&setting).map(|proxy| proxy.shown)
        };
        assert_eq!(shown("p:3128").as_deref(), Ok("p:3128"));
        assert_eq!(shown("HTTP://user:word@p").as_deref(), Ok("p:80"));
        assert_eq!(shown("https://p").as_deref(), Ok("p:443"));
        assert_eq!(shown("socks5://10.0.0.1:1080"), Err(ProxyError::Scheme(variable)));
        assert_eq!(shown("http://user:word@:bad:port"), Err(ProxyError::NotAUrl(variable)));
    }
}
