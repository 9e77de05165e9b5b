//! Sealed certificates, with which people log in at the nodes of a segment while no gateway is
//! there. Each is encrypted twice by `age`, so that two people open it together: for one person,
//! and within that for all others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use zeroize::{Zeroize as _, Zeroizing};

use super::Certificates;
use super::sign::For;
use crate::token::new_token;
use crate::wire::sealed::{Content, Layer, Sealed, VERSION};
use crate::wire::{Time, limit};

/// The default lifetime.
const VALID: Duration = Duration::from_hours(12);
const LONGEST: Duration = Duration::from_hours(7 * 24);
/// The fewest people, of whom any two open it, and the most.
const PEOPLE: std::ops::RangeInclusive<usize> = 2..=20;
/// The most bytes of the file with their keys.
const LARGEST: u64 = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(20);

/// `[segments.NAME.sealed]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealing {
    /// A file with a line `PERSON KEY` for each person: a key of `age` or of ssh.
    pub people: PathBuf,
    /// The lifetime. A new one is made after half of it.
    #[serde(default = "valid", deserialize_with = "duration")]
    pub valid: Duration,
    /// The principals, if not those of `ssh`.
    #[serde(default)]
    pub principals: Option<Vec<String>>,
    /// The source addresses from which it is valid; empty: all.
    #[serde(default)]
    pub sources: Vec<String>,
}

fn valid() -> Duration {
    VALID
}

fn duration<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    let read = crate::manual::duration(&text).map_err(serde::de::Error::custom)?;
    if read < Duration::from_secs(2) || read > LONGEST {
        return Err(serde::de::Error::custom("`valid` must be from 2s to 7d"));
    }
    Ok(read)
}

/// People and their keys.
pub(crate) type People = BTreeMap<String, String>;

impl Sealing {
    /// How a sealed certificate is signed: as others of the segment, apart from these settings.
    pub(super) fn certificates(&self, of: &Certificates) -> Certificates {
        let principals = self.principals.clone();
        Certificates {
            ca: of.ca.clone(),
            ttl: self.valid,
            principals: principals.unwrap_or_else(|| of.principals.clone()),
            sources: self.sources.clone(),
            permit: of.permit.clone(),
        }
    }

    /// The people who can open one.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn people(&self) -> Result<People, String> {
        let shown = self.people.display();
        let size =
            std::fs::metadata(&self.people).map_err(|error| format!("`{shown}`: {error}"))?;
        if size.len() > LARGEST {
            return Err(format!("`{shown}` is too large"));
        }
        let text = std::fs::read_to_string(&self.people);
        let text = text.map_err(|error| format!("`{shown}`: {error}"))?;
        people(&text).map_err(|why| format!("`{shown}`: {why}"))
    }
}

fn people(text: &str) -> Result<People, String> {
    let mut people = People::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let read = line.split_once(char::is_whitespace);
        let read = read.and_then(|(person, key)| Some((person, key_of(key.trim())?)));
        let Some((person, key)) = read.filter(|(person, _)| limit::is_name(person)) else {
            return Err(format!(
                "line {number} is not like `ana age1…` or `ana ssh-ed25519 AAAA…`"
            ));
        };
        if people.insert(person.to_owned(), key).is_some() {
            return Err(format!("line {number}: `{person}` has a key already"));
        }
    }
    if !PEOPLE.contains(&people.len()) {
        let (least, most) = PEOPLE.into_inner();
        return Err(format!(
            "any two people open a sealed certificate: name from {least} to {most}, not {}",
            people.len()
        ));
    }
    let mut keys: Vec<&String> = people.values().collect();
    keys.sort();
    keys.dedup();
    if keys.len() < people.len() {
        return Err("two people have the same key".to_owned());
    }
    Ok(people)
}

/// A recipient of `age`, without a comment.
fn key_of(text: &str) -> Option<String> {
    let mut words = text.split_whitespace();
    let kind = words.next()?;
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    match kind {
        "ssh-ed25519" | "ssh-rsa" => {
            let key = words.next()?;
            let good = key.len() < 2_000 && key.bytes().all(base64);
            good.then(|| format!("{kind} {key}"))
        }
        _ => {
            let rest = kind.strip_prefix("age1")?;
            let good = rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
            (good && rest.len() < 200 && words.next().is_none()).then(|| kind.to_owned())
        }
    }
}

/// Makes a sealed certificate for these nodes, which expires at this time.
///
/// # Errors
/// Why it cannot, in a sentence.
pub(crate) async fn seal(
    (gateway, segment): (&str, &str),
    (sealing, of): (&Sealing, &Certificates),
    nodes: Vec<String>,
    until: Time,
) -> Result<Sealed, String> {
    let people = sealing.people()?;
    let id = new_token()[..16].to_owned();
    let (key, public) = new_key().await?;
    let what = For::sealed(&id, segment, nodes);
    let public = public.parse().map_err(|()| "`ssh-keygen` made no key")?;
    let signed = sealing.certificates(of).sign(&public, &what).await?;
    let mut content = Content {
        key: key.to_string(),
        certificate: signed.certificate,
    };
    let text = serde_json::to_string(&content).map(Zeroizing::new);
    content.key.zeroize();
    let content = text.map_err(|error| error.to_string())?;
    let mut layers = Vec::new();
    for (person, own) in &people {
        let others = people.iter().filter(|(name, _)| *name != person);
        let others: Vec<&String> = others.map(|(_, key)| key).collect();
        let inner = Zeroizing::new(encrypted(&others, &content).await?);
        layers.push(Layer {
            people: vec![person.clone()],
            age: encrypted(&[own], &inner).await?,
        });
    }
    Ok(Sealed {
        v: VERSION,
        id,
        gateway: gateway.to_owned(),
        segment: segment.to_owned(),
        until,
        opened_by: None,
        layers,
    })
}

/// A private key, and its public key.
async fn new_key() -> Result<(Zeroizing<String>, String), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("key");
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(&path);
    output(command, "ssh-keygen", "").await?;
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| error.to_string());
    let key = Zeroizing::new(read(&path)?);
    let public = read(&path.with_extension("pub"))?;
    Ok((key, public.trim().to_owned()))
}

async fn encrypted(keys: &[&String], text: &str) -> Result<String, String> {
    let mut command = Command::new("age");
    command.arg("--armor");
    for key in keys {
        command.arg("-r").arg(key);
    }
    output(command, "age", text).await
}

/// The output of a program that reads this.
async fn output(mut command: Command, name: &str, input: &str) -> Result<String, String> {
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = child.map_err(|error| format!("`{name}`: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // If it does not read its input, it fails with a message.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = output.map_err(|_| format!("`{name}` did not end"))?;
    let output = output.map_err(|error| format!("`{name}`: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said.lines().find(|line| !line.trim().is_empty());
        let line = crate::outside::line(line.unwrap_or("failed"));
        return Err(format!("`{name}`: {line}"));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{name}` printed no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_different_people_with_keys_of_their_own_are_needed() {
        let ana = "ana ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA ana@laptop";
        let bo = "bo  age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";
        let read = people(&format!("# who\n\n{ana}\n{bo}\n")).unwrap();
        assert_eq!(read["ana"], "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA");
        assert_eq!(read["bo"], bo[4..]);
        for (text, why) in [
            (ana.to_owned(), "from 2 to 20, not 1"),
            (format!("{ana}\n{ana}"), "line 2: `ana` has a key already"),
            (
                format!("{ana}\n{}", ana.replace("ana ", "cy ")),
                "the same key",
            ),
            (format!("{ana}\nbo -o /etc/passwd"), "line 2 is not like"),
            (
                format!("{ana}\nbo AGE-SECRET-KEY-1QQ"),
                "line 2 is not like",
            ),
            (format!("{ana}\nb/o age1q"), "line 2 is not like"),
            (format!("{ana}\nbo age1q age1p"), "line 2 is not like"),
        ] {
            let said = people(&text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
