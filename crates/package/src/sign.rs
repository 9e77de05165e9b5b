//! Signatures, made and verified by `ssh-keygen`: with an existing key, a file of trusted signers,
//! and no network.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::{self, Bounds};

/// The purpose of the signatures: one for another purpose is invalid.
const NAMESPACE: &str = "opsbook-pack";

const BOUNDS: Bounds = Bounds {
    // A person may have to type a passphrase.
    time: Duration::from_mins(5),
    out: 1 << 20,
};

/// The signer of a package, with everything needed to verify it again, wherever its files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// A name in the file of signers.
    pub by: String,
    /// SHA-256 of the archive's description, hexadecimal.
    pub description: String,
    /// The output of `ssh-keygen -Y sign` in one line, without its first and last line.
    pub signature: String,
}

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
/// The length of its lines.
const WIDTH: usize = 70;

impl Signed {
    /// From a verified signature in the format of `ssh-keygen`.
    #[must_use]
    pub fn new(by: String, description: String, signature: &str) -> Signed {
        let lines = signature.lines().filter(|line| !line.starts_with('-'));
        Signed {
            by,
            description,
            signature: lines.map(str::trim).collect(),
        }
    }

    /// Verifies that it covers this release, and that its signer is trusted now.
    ///
    /// # Errors
    /// Why it does not.
    pub fn holds(
        &self,
        (name, version): (&str, &str),
        content: &str,
        signers: &Path,
    ) -> Result<(), String> {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        if self.signature.is_empty() || !self.signature.bytes().all(letters) {
            return Err("it is not a signature".to_owned());
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

/// The text that a release's signature covers. The second line protects the whole description: also
/// the revision and the origins of packages.
#[must_use]
pub fn text_of((name, version): (&str, &str), content: &str, description: &str) -> String {
    format!("opsbook-pack v1 {name} {version} {content}\ndescription sha256:{description}\n")
}

/// Signs a text with a key: its file, or the file of a public key whose private key an agent has.
///
/// # Errors
/// `ssh-keygen`'s error.
pub fn sign(text: &str, key: &Path) -> Result<String, String> {
    sign_for(NAMESPACE, text, key)
}

/// The same for another purpose, the namespace.
///
/// # Errors
/// `ssh-keygen`'s error.
pub fn sign_for(namespace: &str, text: &str, key: &Path) -> Result<String, String> {
    let mut keygen = Command::new("ssh-keygen");
    keygen
        .args(["-q", "-Y", "sign", "-n", namespace, "-f"])
        .arg(key);
    let done = process::run(&mut keygen, text.as_bytes(), BOUNDS, &|| Ok(()))?.ok()?;
    String::from_utf8(done).map_err(|_| "`ssh-keygen` made no signature".to_owned())
}

/// Verifies that this is the signer's signature of the text, for this purpose. Uses this machine's
/// time for keys with a validity period.
///
/// # Errors
/// Why it is not.
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
        return Err(format!(
            "`{}` is not a file of allowed signers",
            signers.display()
        ));
    }
    let mut verify = Command::new("ssh-keygen");
    verify
        .args(["-q", "-Y", "verify", "-n", namespace])
        // One word: a name that begins with `-` is not an option.
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

/// Who has signed a text: a name in the file of signers.
///
/// # Errors
/// Why none of them has.
pub fn verify(text: &str, signature: &str, signers: &Path) -> Result<String, String> {
    let mut file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    file.write_all(signature.as_bytes())
        .map_err(|error| error.to_string())?;
    if !signers.is_file() {
        return Err(format!(
            "`{}` is not a file of allowed signers",
            signers.display()
        ));
    }
    let mut find = Command::new("ssh-keygen");
    find.args(["-Y", "find-principals", "-s"]).arg(file.path());
    let done = process::run(find.arg("-f").arg(signers), b"", BOUNDS, &|| Ok(()))?;
    let names = String::from_utf8_lossy(&done.out).into_owned();
    let mut why = "its key is not, or no longer, among the signers".to_owned();
    // One line for each name of the key.
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
