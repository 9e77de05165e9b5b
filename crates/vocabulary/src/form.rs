//! Validates a probe's arguments: a port, a path, a URL. Finds impossible values before anything
//! runs.

use std::net::Ipv6Addr;

use crate::header::ArgumentKind;

/// Record types that the `dns` probe can query.
const RECORDS: [&str; 10] = [
    "A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SRV", "SSHFP", "TXT",
];

/// Why a text, after substitution, is not valid for its kind.
pub(crate) fn wrong(kind: ArgumentKind, text: &str) -> Option<String> {
    let (fits, form) = match kind {
        ArgumentKind::Name => (
            is_unit(text),
            "the name of one unit: letters, digits and `:_.@-`, and no pattern",
        ),
        ArgumentKind::Package => (
            is_package(text),
            "the name of one package: letters, digits and `+-._:@`, and no pattern",
        ),
        ArgumentKind::Record => (
            is_record(text),
            "a name, or `TYPE:NAME` for a type of record that can be asked for",
        ),
        ArgumentKind::Server => (
            host_port(text).is_some(),
            "a host: `HOST`, `HOST:PORT`, `::1` or `[::1]:PORT`",
        ),
        ArgumentKind::Endpoint => (
            text.starts_with('/') || host_port(text).is_some(),
            "`HOST`, `HOST:PORT`, `::1`, `[::1]:PORT` or an absolute path",
        ),
        ArgumentKind::Path => (is_path(text), "an absolute path"),
        ArgumentKind::Port => (
            is_port(text),
            "a port: `tcp:22`, `tcp6:22`, `udp:53`, `udp6:53`, or a number from 1 to 65535",
        ),
        ArgumentKind::Socket => (
            is_socket(text),
            "a socket: `tcp:443`, or `unix:/run/x.sock`",
        ),
        ArgumentKind::Address => (
            is_address(text),
            "an address: `tcp://HOST:PORT`, `udp://HOST:PORT` or `unix:///PATH`",
        ),
        ArgumentKind::Url => (is_url(text), "a URL: `http://HOST/` or `https://HOST/`"),
        ArgumentKind::Text
        | ArgumentKind::Shell
        | ArgumentKind::Bool
        | ArgumentKind::Int
        | ArgumentKind::Milliseconds
        | ArgumentKind::List
        | ArgumentKind::Any => return None,
    };
    (!fits).then(|| format!("`{text}` is not {form}"))
}

/// A host without its brackets, and its port if given. `host_port` of the prelude does the same on
/// the node, for values known only there.
#[must_use]
pub(crate) fn host_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port, six) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        let port = match after {
            "" => None,
            _ => Some(after.strip_prefix(':')?),
        };
        (host, port, true)
    } else if text.matches(':').count() > 1 {
        (text, None, true)
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port), false),
            None => (text, None, false),
        }
    };
    let fits = if six { is_ipv6(host) } else { is_host(host) };
    let port = match port {
        Some(port) if is_number(port) => port.parse().ok(),
        Some(_) => return None,
        None => None,
    };
    fits.then_some((host, port))
}

/// With a zone, as in `fe80::1%eth0`, or without.
fn is_ipv6(host: &str) -> bool {
    let (address, zone) = host.split_once('%').unwrap_or((host, "none"));
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && zone.bytes().all(named)
}

/// A name or an IPv4 address; a final dot makes the name absolute.
fn is_host(host: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !host.is_empty()
        && !host.starts_with(['-', '.'])
        && !host.contains("..")
        && host.bytes().all(known)
}

fn is_unit(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b":_.@\\-".contains(&byte);
    !text.starts_with('-') && text.bytes().all(known)
}

fn is_package(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._:@".contains(&byte);
    !text.starts_with('-') && text.bytes().all(known)
}

fn is_record(text: &str) -> bool {
    let name = match text.split_once(':') {
        Some((kind, name)) if RECORDS.contains(&kind) => name,
        Some(_) => return is_ipv6(text),
        None => text,
    };
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._*:/-".contains(&byte);
    !name.is_empty()
        && !name.starts_with(['-', '.'])
        && !name.contains("..")
        && name.bytes().all(known)
}

fn is_path(text: &str) -> bool {
    text.starts_with(['/', '~'])
}

fn is_port(text: &str) -> bool {
    match text.split_once(':') {
        Some((protocol, port)) => {
            matches!(protocol, "tcp" | "tcp6" | "udp" | "udp6") && is_number(port)
        }
        None => is_number(text),
    }
}

fn is_number(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_socket(text: &str) -> bool {
    match text.split_once(':') {
        Some(("unix", path)) => !path.is_empty(),
        Some(("tcp", port)) => is_number(port),
        _ => false,
    }
}

fn is_address(text: &str) -> bool {
    match text.split_once("://") {
        Some(("unix", path)) => path.starts_with('/'),
        Some(("tcp" | "udp", address)) => has_port(address),
        Some(_) => false,
        None => has_port(text),
    }
}

fn has_port(address: &str) -> bool {
    host_port(address).is_some_and(|(_, port)| port.is_some())
}

fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (_, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let known = ["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    // Within a URL an IPv6 address has brackets, and a name may contain any letters.
    let bare = place.matches(':').count() > 1 && !place.starts_with('[');
    let place = if place.is_ascii() { place } else { "name" };
    known && !bare && host_port(place).is_some() && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_looked_at_is_told_from_what_cannot() {
        use ArgumentKind::{
            Address, Endpoint, Name, Package, Path, Port, Record, Server, Socket, Text, Url,
        };
        for (kind, good, bad) in [
            (Text, "", "\0"),
            (
                Name,
                "nginx nginx.service a@b.service a@ dev-x\\x2dy.device dbus-:1.2",
                "two* tw? [a] -x a/b a;b",
            ),
            (
                Package,
                "nginx libstdc++6 libc6:i386 python3.11 java-1.8.0-openjdk a@b",
                "libz* lib? [a] -x a>1 a=1 a~b",
            ),
            (
                Record,
                "a a.example.net. MX:a PTR:192.0.2.1 PTR:::1 ::1 *.a _x._tcp.a",
                "mx:a LOC:a a..b -a .a a$b a'b A:",
            ),
            (
                Server,
                "a a. a:53 192.0.2.1 192.0.2.1:53 ::1 [::1] [::1]:53 [fe80::1%eth0]:53",
                "a: a:0 a:65536 a:x [::1]x [::1]: [a]:1 1:2:3 [] :53 -a a..b fe80::1%",
            ),
            (Endpoint, "a /x a:443 [::1]:8443 ::1 a.:443", "x/y :443 a:b"),
            (Path, "/etc ~/x ~ops/x", "etc ./x"),
            (
                Port,
                "22 tcp:1 tcp6:65535 udp:53 udp6:53 080",
                "0 tcp:0 tcp:65536 tcp:99999 tcp:x tcp: tpc:80 tcp:80:90 tcp:+8 x -1",
            ),
            (Socket, "tcp:443 unix:/x unix:@x", "tcp:x 443 udp:53 unix:"),
            (
                Address,
                "tcp://a:22 udp://[::1]:53 unix:///run/x a:22 tcp://a.:22 [::1]:22",
                "tcp://a a ftp://a:21 tcp://:22 unix://x a:0 tcp://::1 tcp://[::1] tcp://a:22/",
            ),
            (
                Url,
                "http://a https://a:8/b?c HTTP://[::1]/ http://u:p@a./ http://ö.de/",
                "a/b //a http:// ftp://a http:///x http://::1/ http://a:0/ http://a:70000/ http://[::1/",
            ),
        ] {
            for text in good.split(' ') {
                assert_eq!(wrong(kind, text), None, "{kind:?}");
            }
            for text in bad.split(' ').filter(|_| kind != Text) {
                assert!(wrong(kind, text).is_some(), "{kind:?} {text}");
            }
        }
    }
}
