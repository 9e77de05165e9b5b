//! Compares the two address parsers, the node's and the manual's.

use super::*;
use crate::form::host_port;
use crate::tests::one_of;

const ADDRESSES: &[&str] = &[
    "a",
    "a.",
    "a.example.net",
    "a:1",
    "a.:443",
    "a:0443",
    "192.0.2.1",
    "192.0.2.1:53",
    "::1",
    "::",
    "2001:db8::1",
    "[::1]",
    "[::1]:8443",
    "[fe80::1%eth0]:53",
    "fe80::1%eth0.100",
    "::ffff:192.0.2.1",
    "",
    ".",
    ":",
    ":1",
    "a:",
    "a:0",
    "a:65536",
    "a:99999999999",
    "a:x",
    "a:-1",
    "[",
    "[]",
    "[]:1",
    "[::1",
    "[::1]x",
    "[::1]:",
    "[::1]:0",
    "[a]:1",
    "a..b",
    ".a",
    "-a",
    "a b",
    "a/b",
    "a@b",
    "a;b",
    "$a",
    "`a`",
    "a*",
    "a?:1",
    "a\\b",
    "a'b",
    "fe80::1%",
    "1:2:3",
    "[::1]:1:2",
    "::1%eth0;x",
    "1:2:3:4:5:6:7:8",
    "[1:2:3:4:5:6:7:8]:9",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "12345::1",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    "::1::",
    "1:2:3:4:5:6:192.0.2.1",
    "1.2::3",
];

#[test]
fn the_node_reads_an_address_as_the_manual_does() {
    let node = plain();
    let probe = "# where: where it is\n#\n#: key address text -- it\n#: fact place text -- it\nhost_port \"$arg_address\" || exit 0\nfact place \"$ob_host $ob_port\"\n";
    let mut vocabulary = Vocabulary::builtin().clone();
    let problems = vocabulary.add(&Source::new("checks/where.sh", probe), "where", false);
    assert!(problems.is_empty());
    let checks: Vec<Assertion> = ADDRESSES
        .iter()
        .map(|address| {
            let expected = match host_port(address) {
                Some((host, port)) => {
                    let port = port.map(|port| port.to_string()).unwrap_or_default();
                    format!("{host} {port}")
                }
                None => "none".to_owned(),
            };
            let json = |text: &str| serde_json::to_string(text).unwrap();
            let check = format!(
                "where: {{x: {{address: {}, place: {{equal: {}}}}}}}",
                json(address),
                json(&expected)
            );
            one_of(&vocabulary, &check)
        })
        .collect();
    let all: Vec<&Assertion> = checks.iter().collect();
    let batch = Batch::new(&all);
    for shell in shells() {
        let (status, out, err) = run(&node, &shell, &batch);
        let facts = batch.split(status, &out, &err);
        for ((address, check), facts) in ADDRESSES.iter().zip(&checks).zip(facts) {
            let said = in_one_line(&check.decide(&facts.unwrap()));
            let expected = match host_port(address) {
                Some(_) => "holds".to_owned(),
                None => format!("cannot look: `{address}` is not a host, with or without a port"),
            };
            assert_eq!(said, expected, "{address} under {shell:?}");
        }
    }
}
