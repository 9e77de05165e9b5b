//! Signatures, as `ssh-keygen` makes and verifies them: with a key that is there already, a file
//! of those whose word counts, and no network.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::{self, Bounds};

/// What the signatures are for: one that was made for something else is none.
const NAMESPACE: &str = "opsbook-pack";

const BOUNDS: Bounds = Bounds {
    // A key may have a passphrase, which a person types.
    time: Duration::from_mins(5),
    out: 1 << 20,
};

/// Who has signed a package, and how that is known: all that it takes to verify it again, wherever
/// its files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// A name of the file of signers.
    pub by: String,
    /// SHA-256 of what its archive said of itself, hexadecimal.
    pub description: String,
    /// As `ssh-keygen -Y sign` made it, without the lines around it and in one line.
    pub signature: String,
}

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
/// Letters of a line of it.
const WIDTH: usize = 70;

impl Signed {
    /// Of a signature in the form of `ssh-keygen`, which was verified.
    #[must_use]
    pub fn new(by: String, description: String, signature: &str) -> Signed {
        let lines = signature.lines().filter(|line| !line.starts_with('-'));
        Signed {
            by,
            description,
            signature: lines.map(str::trim).collect(),
        }
    }

    /// Whether it is about this release, and its signer's word counts now.
    ///
    /// # Errors
    /// Why not.
    pub fn holds(
        &self,
        (name, version): (&str, &str),
        content: &str,
        signers: &Path,
    ) -> Result<(), String> {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        if self.signature.is_empty() || !self.signature.bytes().all(letters) {
            return Err("it is no signature".to_owned());
        }
        let mut lines = vec![BEGIN];
        let mut rest = self.signature.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(WIDTH));
            lines.push(line);
            rest = after;
        }
        lines.push(END);
        let text = text_of((name, version), content, &self.description);
        let signature = lines.join("\n") + "\n";
        is_signed_by(&self.by, (NAMESPACE, &text), &signature, signers)
    }
}

/// What the signature of a release is about. The second line is there so that nothing of what its
/// archive says of itself can be changed: not the revision, nor where a package came from.
#[must_use]
pub fn text_of((name, version): (&str, &str), content: &str, description: &str) -> String {
    format!("opsbook-pack v1 {name} {version} {content}\ndescription sha256:{description}\n")
}

/// A signature of a text by a key: its file, or that of a public key whose other half an agent
/// has.
///
/// # Errors
/// What `ssh-keygen` says.
pub fn sign(text: &str, key: &Path) -> Result<String, String> {
    sign_for(NAMESPACE, text, key)
}

/// The same for another purpose, which the namespace names.
///
/// # Errors
/// What `ssh-keygen` says.
pub fn sign_for(namespace: &str, text: &str, key: &Path) -> Result<String, String> {
    let mut keygen = Command::new("ssh-keygen");
    keygen
        .args(["-q", "-Y", "sign", "-n", namespace, "-f"])
        .arg(key);
    let done = process::run(&mut keygen, text.as_bytes(), BOUNDS, &|| Ok(()))?.ok()?;
    String::from_utf8(done).map_err(|_| "`ssh-keygen` gives no signature".to_owned())
}

/// Whether this is a signature of the text by that signer, for this purpose. The time is that of
/// this machine, for a key that was good for a while.
///
/// # Errors
/// Why it is none.
pub fn is_signed_by(
    signer: &str,
    (namespace, text): (&str, &str),
    signature: &str,
    signers: &Path,
) -> Result<(), String> {
    let mut file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    file.write_all(signature.as_bytes())
        .map_err(|error| error.to_string())?;
    if !signers.is_file() {
        return Err(format!("`{}` is no file of signers", signers.display()));
    }
    let mut verify = Command::new("ssh-keygen");
    verify
        .args(["-q", "-Y", "verify", "-n", namespace])
        // One word: a name that begins with `-` is no option.
        .arg(format!("-I{signer}"))
        .arg("-s")
        .arg(file.path());
    let done = process::run(
        verify.arg("-f").arg(signers),
        text.as_bytes(),
        BOUNDS,
        &|| Ok(()),
    )?;
    if done.status.success() {
        return Ok(());
    }
    Err(done.words())
}

/// Who has signed a text: a name of the file of signers.
///
/// # Errors
/// Why nobody of these has.
pub fn verify(text: &str, signature: &str, signers: &Path) -> Result<String, String> {
    let mut file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    file.write_all(signature.as_bytes())
        .map_err(|error| error.to_string())?;
    if !signers.is_file() {
        return Err(format!("`{}` is no file of signers", signers.display()));
    }
    let mut find = Command::new("ssh-keygen");
    find.args(["-Y", "find-principals", "-s"]).arg(file.path());
    let done = process::run(find.arg("-f").arg(signers), b"", BOUNDS, &|| Ok(()))?;
    let names = String::from_utf8_lossy(&done.out).into_owned();
    let mut why = "its key is not among the signers, or not any more".to_owned();
    // One line for each name that the key has.
    for name in names.lines().filter(|line| !line.is_empty()) {
        let mut verify = Command::new("ssh-keygen");
        verify
            .args(["-q", "-Y", "verify", "-n", NAMESPACE, "-I", name, "-s"])
            .arg(file.path());
        let done = process::run(
            verify.arg("-f").arg(signers),
            text.as_bytes(),
            BOUNDS,
            &|| Ok(()),
        )?;
        if done.status.success() {
            return Ok(name.to_owned());
        }
        why = done.words();
    }
    Err(why)
}
