//! Archives in a container registry, accessed with the user's `skopeo`, which has their logins,
//! certificates and proxies. An archive is an artifact with one layer. Downloads are compared with
//! their hashes before they are read.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::process::{self, Bounds};
use crate::tree::{MOST_BYTES, sha256, shown};

/// The media type of an archive.
pub const TYPE: &str = "application/vnd.opsbook.pack.v1+tar+zstd";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The longest manifest, in bytes.
const LONGEST: usize = 1 << 20;

const BOUNDS: Bounds = Bounds {
    time: Duration::from_mins(10),
    out: LONGEST,
};

/// Why a registry access failed, with the code of the problem: `oci-failed`, or `no-skopeo` if
/// `skopeo` is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The code of the problem.
    pub code: &'static str,
    /// The message.
    pub message: String,
}

fn failed(message: impl Into<String>) -> Refused {
    Refused {
        code: "oci-failed",
        message: message.into(),
    }
}

/// Checks that this is a place in a registry: `registry.example.net/ops/shop`, without a tag.
///
/// # Errors
/// Why it is not.
pub fn check_reference(reference: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let (host, path) = reference.split_once('/').unwrap_or((reference, ""));
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "443"));
    let good = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(plain)
    };
    if good(name) && port.parse::<u16>().is_ok() && path.split('/').all(good) {
        return Ok(());
    }
    let shown = shown(reference);
    Err(format!(
        "`{shown}` is not a repository in a registry, such as `registry.example.net/ops/shop`"
    ))
}

/// Checks that this can be a tag in a registry.
///
/// # Errors
/// Why it cannot.
pub fn check_tag(tag: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let good = !tag.starts_with(['.', '-']) && (1..=128).contains(&tag.len());
    if good && tag.chars().all(plain) {
        return Ok(());
    }
    Err(format!("`{}` is not a valid tag", shown(tag)))
}

#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: String,
    size: u64,
}

/// Uploads an archive, and returns the digest of its manifest.
///
/// # Errors
/// `skopeo`'s error.
pub fn push(bytes: &[u8], file: &str, reference: &str, tag: &str) -> Result<String, Refused> {
    check_reference(reference).map_err(failed)?;
    check_tag(tag).map_err(failed)?;
    let folder = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
    let digest =
        layout(folder.path(), bytes, file, tag).map_err(|error| failed(error.to_string()))?;
    let mut copy = skopeo("copy", "--dest-tls-verify=false", reference);
    copy.arg("--quiet")
        .arg(format!("oci:{}:{tag}", folder.path().display()))
        .arg(format!("docker://{reference}:{tag}"));
    run(&mut copy)?;
    Ok(digest)
}

/// The digest that a tag points to now.
///
/// # Errors
/// `skopeo`'s error.
pub fn digest(reference: &str, tag: &str) -> Result<String, Refused> {
    check_reference(reference).map_err(failed)?;
    check_tag(tag).map_err(failed)?;
    let mut inspect = skopeo("inspect", "--tls-verify=false", reference);
    inspect
        .arg("--raw")
        .arg(format!("docker://{reference}:{tag}"));
    let manifest = run(&mut inspect)?;
    Ok(format!("sha256:{}", sha256(&manifest)))
}

/// The archive with this digest.
///
/// # Errors
/// `skopeo`'s error, or a download that is not an archive.
pub fn fetch(reference: &str, digest: &str) -> Result<Vec<u8>, Refused> {
    check_reference(reference).map_err(failed)?;
    let hex = hex_of(digest)?;
    let folder = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
    let mut copy = skopeo("copy", "--src-tls-verify=false", reference);
    copy.arg("--quiet")
        .arg(format!("docker://{reference}@{digest}"))
        .arg(format!("oci:{}:pack", folder.path().display()));
    let into = folder.path().to_owned();
    let not_too_large = move || {
        if size_of(&into.join("blobs/sha256")) > 2 * MOST_BYTES {
            return Err(format!("it is larger than {} MiB", (2 * MOST_BYTES) >> 20));
        }
        Ok(())
    };
    started(&mut copy, &not_too_large)?;
    let blobs = folder.path().join("blobs/sha256");
    let manifest = blob(&blobs, hex, LONGEST as u64)?;
    let manifest: Manifest = serde_json::from_slice(&manifest)
        .map_err(|error| failed(format!("its manifest cannot be read: {error}")))?;
    let [layer] = &manifest.layers[..] else {
        return Err(failed(
            "it is not an opsbook archive: it does not have exactly one layer",
        ));
    };
    if layer.media_type != TYPE {
        let kind = shown(&layer.media_type);
        return Err(failed(format!(
            "it is not an opsbook archive, but `{kind}`"
        )));
    }
    if layer.size > MOST_BYTES {
        return Err(failed(format!(
            "it is larger than {} MiB",
            MOST_BYTES >> 20
        )));
    }
    blob(&blobs, hex_of(&layer.digest)?, MOST_BYTES)
}

/// The tags of a place in a registry.
///
/// # Errors
/// `skopeo`'s error.
pub fn tags(reference: &str) -> Result<Vec<String>, Refused> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed {
        tags: Vec<String>,
    }
    check_reference(reference).map_err(failed)?;
    let mut list = skopeo("list-tags", "--tls-verify=false", reference);
    list.arg(format!("docker://{reference}"));
    let said = run(&mut list)?;
    let listed: Listed = serde_json::from_slice(&said)
        .map_err(|error| failed(format!("`skopeo list-tags` says {error}")))?;
    let mut tags = listed.tags;
    tags.retain(|tag| check_tag(tag).is_ok());
    Ok(tags)
}

/// The 64 hexadecimal digits after `sha256:`.
fn hex_of(digest: &str) -> Result<&str, Refused> {
    let hex = digest
        .strip_prefix("sha256:")
        .filter(|hex| hex.len() == 64 && hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')));
    hex.ok_or_else(|| failed(format!("`{}` is not a digest", shown(digest))))
}

/// A file of an OCI layout, compared with the hash in its name.
fn blob(blobs: &Path, hex: &str, most: u64) -> Result<Vec<u8>, Refused> {
    use std::io::Read as _;
    let cannot = |error: std::io::Error| failed(format!("`sha256:{hex}`: {error}"));
    let file = std::fs::File::open(blobs.join(hex)).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if sha256(&bytes) != hex {
        return Err(failed(format!("the download is not `sha256:{hex}`")));
    }
    Ok(bytes)
}

fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| entry.metadata().ok());
    sizes.map(|metadata| metadata.len()).sum()
}

/// Writes an OCI layout that `skopeo` can copy from. Returns the digest of the manifest.
fn layout(folder: &Path, bytes: &[u8], file: &str, tag: &str) -> std::io::Result<String> {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs)?;
    let put = |bytes: &[u8]| -> std::io::Result<String> {
        let hex = sha256(bytes);
        std::fs::write(blobs.join(&hex), bytes)?;
        Ok(format!("sha256:{hex}"))
    };
    let config = put(b"{}")?;
    let layer = put(bytes)?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": TYPE,
        "config": {"mediaType": EMPTY, "digest": config, "size": 2},
        "layers": [{
            "mediaType": TYPE,
            "digest": layer,
            "size": bytes.len(),
            "annotations": {"org.opencontainers.image.title": file},
        }],
    });
    let manifest = manifest.to_string().into_bytes();
    let digest = put(&manifest)?;
    let index = json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": MANIFEST,
            "digest": digest,
            "size": manifest.len(),
            "annotations": {"org.opencontainers.image.ref.name": tag},
        }],
    });
    std::fs::write(folder.join("index.json"), index.to_string())?;
    let version = json!({"imageLayoutVersion": "1.0.0"}).to_string();
    std::fs::write(folder.join("oci-layout"), version)?;
    Ok(digest)
}

/// Connections without TLS are only allowed to this machine.
fn skopeo(what: &str, plain: &str, reference: &str) -> Command {
    let mut skopeo = Command::new("skopeo");
    // Policies concern signatures of images; our signature is in the archive.
    skopeo.args(["--insecure-policy", what]);
    let host = reference.split(['/', ':']).next().unwrap_or_default();
    let here = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    if here {
        skopeo.arg(plain);
    }
    skopeo
}

fn run(skopeo: &mut Command) -> Result<Vec<u8>, Refused> {
    started(skopeo, &|| Ok(()))
}

fn started(
    skopeo: &mut Command,
    holds: &dyn Fn() -> Result<(), String>,
) -> Result<Vec<u8>, Refused> {
    let there = |folder: std::path::PathBuf| folder.join("skopeo").is_file();
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(there) {
        return Err(Refused {
            code: "no-skopeo",
            message: "`skopeo`, which opsbook needs for registries, is not installed".to_owned(),
        });
    }
    let done = process::run(skopeo, b"", BOUNDS, holds).map_err(failed)?;
    done.ok().map_err(|why| failed(said(&why)))
}

/// Extracts the message from `skopeo`'s log line.
fn said(why: &str) -> String {
    let message = why.split_once("msg=\"").map_or(why, |(_, rest)| rest);
    message.trim_end_matches('"').replace("\\\"", "`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_registry_is_plain_words_and_never_an_option() {
        for good in [
            "registry.example.net/ops/shop",
            "127.0.0.1:5000/shop",
            "r/a.b-c/d_e",
        ] {
            assert_eq!(check_reference(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "shop",
            "-r/shop",
            "r/--x",
            "r/shop:1",
            "r/shop@sha256:0",
            "r//shop",
            "r/shop/",
            "r:x/shop",
            "r/Shop",
            "r/a b",
            "r/../x",
        ] {
            assert!(check_reference(bad).is_err(), "{bad}");
        }
        assert!(check_tag("1.4.2").is_ok() && check_tag("v1").is_ok());
        assert!(check_tag("-x").is_err() && check_tag("a/b").is_err() && check_tag("").is_err());
    }

    #[test]
    fn what_skopeo_says_is_said_without_its_log() {
        let line = "time=\"2026-01-01T00:00:00Z\" level=fatal msg=\"Error parsing \\\"x\\\": no\"";
        assert_eq!(said(line), "Error parsing `x`: no");
        assert_eq!(said("plain"), "plain");
    }
}
