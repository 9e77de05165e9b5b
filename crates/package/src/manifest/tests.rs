//! Manifests and their drawn errors.

use super::*;

fn said(text: &str) -> String {
    let (_, problems) = read(&Source::new(FILE, text));
    let drawn: Vec<String> = problems.iter().map(ToString::to_string).collect();
    drawn.join("\n")
}

const SHOP: &str = r#"[package]
name = "shop"
version = "1.4.2"
description = "The web service"
owners = ["shop-ops@example.net"]
include = ["dist/*.whl"]
opsbook = "0.1"

[values]
shop_port = {default = 8000, pattern = '\d{2,5}', help = "nginx listens on it"}
shop_mode = {default = 0644}
shop_tls_key = {secret = true}
shop_hosts = {default = ["a", "b"]}
shop_tls = {default = {cert = "a", key = "b"}}
domain = {shared = true, required = true}

[groups]
shop = "machines that run the web service"

[packages]
base = {git = "https://git.example.net/ops/base", tag = "v2.1.0", subdir = "ops"}
postgres = {archive = "vendor/postgres-3.0.1.opsbook"}
shared = {path = "../shared"}

[overrides.templates]
"nginx:site.conf" = "templates/nginx-site.conf"

[overrides.checks]
"nginx.tls/expiry" = {skip = "watched elsewhere", until = 2027-03-01}

[trust]
signers = "signers"
require = ["base"]
"#;

#[test]
fn all_that_a_manifest_says_is_read() {
    let (manifest, problems) = read(&Source::new(FILE, SHOP.replace("0644", "\"0644\"")));
    assert!(problems.is_empty(), "{problems:?}");
    let package = manifest.package.unwrap();
    assert_eq!(package.label(), "shop 1.4.2");
    assert_eq!(package.claims("shop.release"), Some("shop"));
    assert_eq!(package.claims("shopping"), None);
    let port = &manifest.values["shop_port"];
    assert_eq!(port.default.as_ref().unwrap().text(), Some("8000"));
    let mode = &manifest.values["shop_mode"];
    assert_eq!(mode.default.as_ref().unwrap().text(), Some("0644"));
    assert!(manifest.values["domain"].shared && manifest.values["domain"].required);
    assert_eq!(
        manifest.packages["shared"].from,
        From::Path("../shared".into())
    );
    let skip = &manifest.overrides.checks[0];
    assert_eq!(
        (skip.group.as_str(), skip.check.as_deref()),
        ("nginx.tls", Some("expiry"))
    );
    assert_eq!(skip.until.as_deref(), Some("2027-03-01"));
    assert!(manifest.trust.require.covers("base") && !manifest.trust.require.covers("shop"));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, wrong) in [
        (
            "[pakage]\n",
            "opsbook.toml:1:2: error: unknown key `pakage` of `opsbook.toml`\n  |\n1 | [pakage]\n  |  ^^^^^^\n\nhint: did you mean `package`?",
        ),
        (
            "[package]\nname = \"Shop\"\nversion = \"1.0.0\"\nowners = [\"x\"]\n",
            "opsbook.toml:2:8: error: `Shop` is not a valid package name\n  |\n2 | name = \"Shop\"\n  |        ^^^^^^\n\nhint: lower case letters, digits and `-`, a letter first, at most 63",
        ),
        (
            "[package]\nname = \"shop\"\nversion = \"1.0\"\nowners = [\"x\"]\n",
            "opsbook.toml:3:11: error: `1.0` is not a valid version: unexpected end of input while parsing minor version number\n  |\n3 | version = \"1.0\"\n  |           ^^^^^\n\nhint: three numbers, such as `1.4.2` (semver.org)",
        ),
        (
            "[package]\nname = \"shop\"\nversion = \"1.0.0\"\n",
            "opsbook.toml:1:2: error: a package has `owners`\n  |\n1 | [package]\n  |  ^^^^^^^\n\nhint: name people or a page: the book and each hand-off sheet show them",
        ),
        (
            "[packages]\nbase = {git = \"https://x.example/base\", branch = \"main\"}\n",
            "opsbook.toml:2:41: error: a branch changes: name a tag or a revision, or a path while you work on it\n  |\n2 | base = {git = \"https://x.example/base\", branch = \"main\"}\n  |                                         ^^^^^^",
        ),
        (
            "[packages]\nbase = {git = \"ext::sh -c id\", tag = \"v1\"}\n",
            "opsbook.toml:2:15: error: `ext::sh -c id`: only `https:`, `ssh:` and `file:` are supported\n  |\n2 | base = {git = \"ext::sh -c id\", tag = \"v1\"}\n  |               ^^^^^^^^^^^^^^^",
        ),
        (
            "[packages]\nbase = {git = \"https://x.example/b\", tag = \"--upload-pack=id\"}\n",
            "opsbook.toml:2:44: error: `--upload-pack=id` is not a valid name of a tag or branch\n  |\n2 | base = {git = \"https://x.example/b\", tag = \"--upload-pack=id\"}\n  |                                            ^^^^^^^^^^^^^^^^^^",
        ),
        (
            "[values]\nkey = {secret = true, default = \"hunter2\"}\n",
            "opsbook.toml:2:1: error: a secret cannot have a `default`, which would be in the archive\n  |\n2 | key = {secret = true, default = \"hunter2\"}\n  | ^^^",
        ),
    ] {
        assert_eq!(said(text), wrong);
    }
}
