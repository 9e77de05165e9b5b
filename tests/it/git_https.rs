//! Git's own server of repositories, over https, with a certificate of its own and a password.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::sshd::Skip;

const BACKEND: &str = "/usr/lib/git-core/git-http-backend";
const PYTHON: &str = "/usr/bin/python3";
const OPENSSL: &str = "/usr/bin/openssl";
/// `chain.pem` is what a client has to trust.
const CERTIFICATE: &str = "req -x509 -newkey rsa:2048 -nodes -days 3 -subj /CN=127.0.0.1 \
     -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out chain.pem";

/// The server, until it is dropped.
pub struct GitServer {
    child: Child,
    /// Its port on 127.0.0.1.
    pub port: String,
}

impl GitServer {
    /// Whether this machine has what the server needs.
    pub fn possible() -> Result<(), Skip> {
        let mut needed = [BACKEND, PYTHON, OPENSSL].map(Path::new).into_iter();
        match needed.find(|program| !program.exists()) {
            Some(program) => Err(Skip(format!("{} is not installed", program.display()))),
            None => Ok(()),
        }
    }

    /// Serves the repositories in `served` of a folder; its certificate is put beside them.
    pub fn start(folder: &Path) -> GitServer {
        let made = Command::new(OPENSSL)
            .args(CERTIFICATE.split_whitespace())
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let mut child = Command::new(PYTHON)
            .args(["-c", include_str!("git_https.py")])
            .args(["served", "chain.pem", "key.pem", BACKEND])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut port).unwrap();
        let port = port.trim().to_owned();
        GitServer { child, port }
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
