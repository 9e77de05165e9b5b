//! The form of what a probe is told: a port, a path, a URL. What could never be looked at is
//! found before anybody looks.

use crate::vocabulary::header::ArgumentKind;

/// Says why a text, with its values put in, is not of its kind.
pub(crate) fn wrong(kind: ArgumentKind, text: &str) -> Option<String> {
    let (fits, form) = match kind {
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
        _ => return None,
    };
    (!fits).then(|| format!("`{text}` is not {form}"))
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
    address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && is_number(port))
}

fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let known = ["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    known && !host.is_empty() && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_looked_at_is_told_from_what_cannot() {
        use ArgumentKind::{Address, Path, Port, Socket, Text, Url};
        for (kind, good, bad) in [
            (Text, "", "\0"),
            (Path, "/etc ~/x ~ops/x", "etc ./x"),
            (
                Port,
                "22 tcp:1 tcp6:65535 udp:53 udp6:53 080",
                "0 tcp:0 tcp:65536 tcp:99999 tcp:x tcp: tpc:80 tcp:80:90 tcp:+8 x -1",
            ),
            (Socket, "tcp:443 unix:/x unix:@x", "tcp:x 443 udp:53 unix:"),
            (
                Address,
                "tcp://a:22 udp://[::1]:53 unix:///run/x a:22",
                "tcp://a a ftp://a:21 tcp://:22 unix://x a:0",
            ),
            (
                Url,
                "http://a https://a:8/b?c HTTP://[::1]/",
                "a/b //a http:// ftp://a http:///x",
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
