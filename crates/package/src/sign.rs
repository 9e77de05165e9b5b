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
