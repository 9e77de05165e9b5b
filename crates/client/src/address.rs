//! The address of a gateway, as people write it. Pure.

use std::path::PathBuf;

/// The address of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `http://HOST:PORT`: unencrypted, so for this machine or a tunnel.
    Http {
        /// A name or an address, without brackets.
        host: String,
        /// Default 80.
        port: u16,
    },
    /// `https://HOST:PORT`
    Https {
        /// A name or an address, without brackets.
        host: String,
        /// Default 443.
        port: u16,
    },
    /// `unix:/path/of/the.socket`
    Unix(PathBuf),
}

/// The text is not a gateway's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not the address of a gateway: `https://HOST`, `http://HOST:PORT` or `unix:/path`"
)]
pub struct AddressError(String);

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let wrong = || AddressError(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            if path.starts_with('/') {
                return Ok(Address::Unix(path.into()));
            }
            return Err(wrong());
        }
        let (rest, usual) = match text.strip_prefix("https://") {
            Some(rest) => (rest, 443),
            None => (text.strip_prefix("http://").ok_or_else(wrong)?, 80),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            // A colon within brackets does not precede a port.
            Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| wrong())?),
            _ => (rest, usual),
        };
        let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let address = |c: char| c.is_ascii_hexdigit() || ":.%".contains(c);
        let host = match bracketed {
            Some(host) if !host.is_empty() && host.chars().all(address) => host,
            None if !host.is_empty() && host.chars().all(plain) => host,
            _ => return Err(wrong()),
        };
        let host = host.to_owned();
        Ok(if usual == 443 {
            Address::Https { host, port }
        } else {
            Address::Http { host, port }
        })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Http { .. } => write!(f, "http://{}", self.authority()),
            Address::Https { .. } => write!(f, "https://{}", self.authority()),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Address {
    /// The value of the `Host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        match self {
            Address::Http { host, port } | Address::Https { host, port } if host.contains(':') => {
                format!("[{host}]:{port}")
            }
            Address::Http { host, port } | Address::Https { host, port } => {
                format!("{host}:{port}")
            }
            Address::Unix(_) => "localhost".to_owned(),
        }
    }

    /// Whether the traffic stays on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Address::Unix(_) => true,
            Address::Http { host, .. } | Address::Https { host, .. } => {
                host == "localhost"
                    || host
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_or_a_socket_and_nothing_else() {
        for (text, shown, local) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", true),
            ("http://localhost/", "http://localhost:80", true),
            ("http://[::1]:9", "http://[::1]:9", true),
            ("http://[fe80::1]", "http://[fe80::1]:80", false),
            ("http://gate.example:80", "http://gate.example:80", false),
            ("https://gate.example", "https://gate.example:443", false),
            ("https://[::1]:9/", "https://[::1]:9", true),
            ("unix:/run/o.sock", "unix:/run/o.sock", true),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(
                (address.to_string().as_str(), address.is_local()),
                (shown, local)
            );
        }
        for text in [
            "",
            "gate",
            "ftp://x",
            "http://",
            "http://:1",
            "http://a b",
            "http://u@h",
            "http://h/p",
            "http://h:99999",
            "http://h:x",
            "http://[",
            "http://[]",
            "unix:x",
            "http://[::1",
            "http://h\r\n:1",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
