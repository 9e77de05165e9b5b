//! A package's manifest against its pages and nodes, with drawn problems.

use std::fs;

use crate::Project;
use crate::files::Files;
use crate::nodes::Layer;
use crate::source::Problem;

const PACKAGE: &str = "[package]\nname = \"shop\"\nversion = \"1.4.2\"\nowners = [\"x\"]\n";
const PAGE: &str = "# R\n\n```yaml procedure\nid: shop.release\nnodes: \"@shop\"\nparams:\n  version: {required: true}\n```\n\n```sh step capture=got\necho \"$version\" \"$shop_port\"\n```\n\n```sh step\nmine=1\necho \"$mine $got ${shop_extra:-} $domain $node $bundle $shop_tls_cert\"\n```\n\n# C\n\n```yaml checks\nid: shop\nnodes: \"@shop\"\n```\n\n```sh check id=shop.up\ntest \"$shop_port\" = 8000\n```\n";
const VALUES: &str = "[values]\nshop_port = {default = 8000, pattern = '\\d{4,5}'}\nshop_extra = {}\nshop_tls = {default = {cert = \"/c\", key = \"/k\"}}\ndomain = {shared = true}\n[groups]\nshop = \"machines\"\n";
const NODES: &str =
    "groups: {shop: {}}\nnodes:\n  web1: {transport: local, groups: [shop], domain: example.net}\n";

fn project(manifest: &str, page: &str, nodes: &str) -> (tempfile::TempDir, Project) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("book.toml", "[book]\nsrc = \".\"\n");
    write("SUMMARY.md", "- [R](release.md)\n");
    write("nodes.yaml", &format!("opsbook: 1\n{nodes}"));
    write("release.md", page);
    write("opsbook.toml", manifest);
    let project = Project::read(Files::of(folder.path()));
    (folder, project)
}

fn said(manifest: &str, page: &str, nodes: &str) -> String {
    let (_folder, project) = project(manifest, page, nodes);
    let problems = project.lint().problems;
    let drawn: Vec<String> = problems.iter().map(Problem::to_string).collect();
    drawn.join("\n--\n")
}

#[test]
fn a_package_that_declares_what_it_reads_is_right() {
    assert_eq!(said(&format!("{PACKAGE}{VALUES}"), PAGE, NODES), "");
}

#[test]
fn what_is_not_declared_or_not_its_own_is_an_error_with_its_place() {
    let manifest = format!("{PACKAGE}{VALUES}");
    let all = |from: &str, to: &str| manifest.replace(from, to);
    assert_eq!(
        said(&all("domain = {shared = true}\n", ""), PAGE, NODES),
        "release.md:16:31: error: a block of `shop` reads `$domain`, which `opsbook.toml` does not declare\n   |\n16 | echo \"$mine $got ${shop_extra:-} $domain $node $bundle $shop_tls_cert\"\n   |                                   ^^^^^^\n\nhint: add `domain = {help = \"…\"}` to `[values]`".replace(":31:", ":35:")
    );
    assert_eq!(
        said(
            &manifest,
            &PAGE.replace("id: shop.release", "id: web.release"),
            NODES
        ),
        "release.md:4:5: error: `web.release` is outside the namespace of `shop` (`shop`)\n  |\n4 | id: web.release\n  |     ^^^^^^^^^^^\n\nhint: `namespace` of `[package]` lists the prefixes of its ids"
    );
    assert_eq!(
        said(
            &manifest,
            &PAGE.replace("id: shop.release", "id: shopping.release"),
            NODES
        )
        .lines()
        .next(),
        Some(
            "release.md:4:5: error: `shopping.release` is outside the namespace of `shop` (`shop`)"
        )
    );
    assert_eq!(
        said(&all("domain = {shared = true}", "domain = {}"), PAGE, NODES),
        "opsbook.toml:9:1: error: `domain` is outside the namespace of `shop`: it does not begin with `shop_`\n  |\n9 | domain = {}\n  | ^^^^^^\n\nhint: `shared = true` declares that the name belongs to the book"
    );
    assert_eq!(
        said(&all("[groups]\nshop = \"machines\"\n", ""), PAGE, NODES)
            .lines()
            .next(),
        Some(
            "release.md:5:8: error: `shop` is for `@shop`, which is not in `[groups]` of `opsbook.toml`"
        )
    );
    let nobody = "groups: {shop: {}}\nnodes:\n  web1: {transport: local, domain: x}\n";
    assert!(
        said(&manifest, PAGE, nobody).contains(
            "opsbook.toml:11:1: warning: `@shop` has no nodes, so 1 procedure and 1 check of `shop` cannot run"
        ),
        "{}",
        said(&manifest, PAGE, nobody)
    );
}

#[test]
fn values_of_nodes_are_held_against_the_declaration() {
    let manifest = format!("{PACKAGE}{VALUES}");
    let port = NODES.replace("domain:", "shop_port: many, domain:");
    assert!(said(&manifest, PAGE, &port).contains("error: `shop_port` does not match `\\d{4,5}`"));
    let secret = manifest.replace("shop_extra = {}", "shop_extra = {secret = true}");
    let plain = NODES.replace("domain:", "shop_extra: hunter2, domain:");
    let told = said(&secret, PAGE, &plain);
    assert!(
        told.contains("error: `shop_extra` is a secret, so it is not written to the file"),
        "{told}"
    );
    // A package cannot say how a node is reached.
    let reached = manifest.replace(
        "domain = {shared = true}",
        "domain = {shared = true}\naddress = {default = \"10.0.0.1\", shared = true}",
    );
    assert!(
        said(&reached, PAGE, NODES).contains("error: `address` configures how to reach a node")
    );
    let (_folder, project) = project(&reached, PAGE, NODES);
    assert!(
        !project
            .nodes
            .evaluate("web1", &[])
            .unwrap()
            .leaves
            .contains_key("address")
    );
    let newer = manifest.replace("owners", "opsbook = \"99.0\"\nowners");
    assert!(said(&newer, PAGE, NODES).contains("error: it needs opsbook 99.0, but this is "));
}

/// Values over a package's defaults merge with them or remove them, as everywhere.
#[test]
fn nodes_go_over_the_values_of_a_package_and_null_removes_them() {
    let values = "[values]\nshop_port = {default = 8000}\nshop_hosts = {default = [\"a\", \"b\"]}\nshop_tls = {default = {cert = \"/c\", key = \"/k\", inner = {a = 1, b = 2}}}\n";
    let manifest = format!("{PACKAGE}{values}");
    for (said, leaf, found) in [
        ("", "shop_port", Some("8000")),
        ("", "shop_tls_inner_b", Some("2")),
        ("shop_port: 8001", "shop_port", Some("8001")),
        ("shop_port: null", "shop_port", None),
        ("shop_hosts: null", "shop_hosts", None),
        ("shop_hosts: [c]", "shop_hosts", Some("[c]")),
        ("shop_tls: {cert: /other}", "shop_tls_key", Some("/k")),
        ("shop_tls: {cert: null}", "shop_tls_cert", None),
        ("shop_tls: {cert: null}", "shop_tls_key", Some("/k")),
        (
            "shop_tls: {inner: {a: null}}",
            "shop_tls_inner_b",
            Some("2"),
        ),
        ("shop_tls: {inner: {a: null}}", "shop_tls_inner_a", None),
        ("shop_tls: null", "shop_tls_key", None),
        (
            "shop_tls: {key: {secret: {env: KEY}}}",
            "shop_tls_cert",
            Some("/c"),
        ),
        (
            "shop_port: {secret: {env: PORT}}",
            "shop_port",
            Some("{secret}"),
        ),
    ] {
        for place in [
            "defaults: {}\nnodes:\n  n: {transport: local, VALUES}\n",
            "defaults: {VALUES}\nnodes:\n  n: {transport: local}\n",
        ] {
            let nodes = place.replace("VALUES", said).replace(", }", "}");
            let (_folder, project) = project(&manifest, "# R\n", &nodes);
            let node = project.nodes.evaluate("n", &[]).unwrap();
            let shown = node.leaves.get(leaf).map(|leaf| match leaf.value.text() {
                Some(text) => text.to_owned(),
                None if leaf.value.as_map().is_some() => "{secret}".to_owned(),
                None => format!("[{}]", leaf.value.span.text().trim_matches(['[', ']'])),
            });
            assert_eq!(shown.as_deref(), found, "{said} {leaf}");
            if said.is_empty() {
                let layer = Layer::Package("package shop 1.4.2".to_owned());
                assert_eq!(node.leaves[leaf].origin.layer, layer);
            }
        }
    }
}

/// Pages that read `$open` in every way except in a script, each with its place.
fn that_read_open() -> Vec<(String, &'static str)> {
    let contract = "# R\n\n```yaml procedure\nid: shop.release\nparams:\n  version: {default: 1}\nMORE```\n\n```sh step capture=got\ntrue\n```\n\n";
    let block = |text: &str| contract.replace("MORE", "") + text;
    let checks = |text: &str| format!("# C\n\n```yaml checks\nid: shop\n{text}```\n");
    vec![
        (
            block("```text manual\nSay ${open}, $${closed}, ${version}, ${got}.\n```\n"),
            "release.md:14:5",
        ),
        (
            block("```sh step\ntrue\n```\n\n```text expect\n${open}\n```\n"),
            "release.md:18:1",
        ),
        (
            block("```console step\n$ true\n${open}\n```\n"),
            "release.md:15:1",
        ),
        (
            block("```yaml deliver\n- {template: site.conf}\n```\n"),
            "templates/part.conf:2:12: ",
        ),
        (
            block("```yaml deliver\n- {file: \"dist/${open}.whl\"}\n```\n"),
            "release.md:14:16: ",
        ),
        (
            block("```yaml deliver\n- {file: a, as: \"${open}\"}\n```\n"),
            "release.md:14:",
        ),
        (
            block("```ini file as=a.conf\nx = {{ open }} {{ version }}\n```\n"),
            "release.md:14:8",
        ),
        (
            block("```ini file to=/tmp/a.conf\nx = {{ open }}\n```\n"),
            "release.md:14:8",
        ),
        (
            contract.replace("MORE", "replace: {\"<it>\": \"${open}\"}\n"),
            "release.md:7:",
        ),
        (
            block("## After\n\n```sh check id=after\ntrue\n```\n\n```text expect\n${open}\n```\n"),
            "release.md:20:1",
        ),
        (
            checks("port:\n  \"tcp:${open}\": {listening: true}\n"),
            "release.md:6:",
        ),
        (
            checks("file:\n  /etc/motd: {contains: [\"${open}\"]}\n"),
            "release.md:6:",
        ),
        (
            checks("command:\n  \"test \\\"$open\\\" = 1\": {exit-status: 0}\n"),
            "release.md:6:",
        ),
        (
            checks("") + "\n```sh check id=shop.up\necho 1\n```\n\n```text expect\n${open}\n```\n",
            "release.md:12:1",
        ),
    ]
}

/// A value must be declared wherever a page names it, not only in scripts.
#[test]
fn what_no_script_reads_is_declared_too() {
    let template = "{% set a = 1 %}{{ a }} {{ version }} {{ got }} {{ bundle }} {{ shop_port }}{% for x in range(2) %}{{ x }}{% include \"part.conf\" %}{% endfor %}\n";
    for (page, place) in that_read_open() {
        let manifest = format!("{PACKAGE}{VALUES}");
        let said = |manifest: &str| {
            let (folder, mut project) = project(manifest, &page, NODES);
            fs::create_dir(folder.path().join("templates")).unwrap();
            fs::write(folder.path().join("templates/site.conf"), template).unwrap();
            let part = "{# open #}\n{{ x }} {{ open }}{{ a.open }}\n";
            fs::write(folder.path().join("templates/part.conf"), part).unwrap();
            project.files = Files::of(folder.path());
            let problems = crate::interface::lint(&project);
            let problems = problems.iter().filter(|one| one.code == "undeclared-value");
            problems
                .map(Problem::to_string)
                .collect::<Vec<_>>()
                .join("\n--\n")
        };
        let told = said(&manifest);
        assert!(told.starts_with(place), "{place}: {told}\n{page}");
        let words = "`opsbook.toml` does not declare\n";
        assert_eq!(told.matches(words).count(), 1, "{told}");
        assert!(
            told.ends_with("hint: add `open = {help = \"…\"}` to `[values]`"),
            "{told}"
        );
        let declared = manifest.replace("domain = ", "open = {shared = true}\ndomain = ");
        assert_eq!(said(&declared), "", "{page}");
    }
    // A default may refer to another value.
    let named = format!("{PACKAGE}{VALUES}")
        .replace("shop_extra = {}", "shop_extra = {default = \"${other}\"}");
    let told = said(&named, PAGE, NODES);
    assert!(
        told.contains("opsbook.toml:7:26: error: a default of `shop` reads `$other`"),
        "{told}"
    );
}
