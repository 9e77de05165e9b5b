//! ! A PostgreSQL server of the tests: one for all tests of this process, which ends with it. Each
//! test has its own database.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Returns the address of a new, empty database. Without PostgreSQL the test is skipped by name,
/// and fails in CI as root.
pub fn database(test: &str) -> Option<String> {
    let (folder, name) = new_database(test)?;
    let folder = folder.display();
    Some(format!(
        "postgres://opsbook@localhost:{PORT}/{name}?host={folder}"
    ))
}

/// A new, empty database that accepts only TLS.
pub struct OverTls {
    /// Its address, without TLS settings.
    pub url: String,
    /// The certificate of the authority that signed the server's certificate.
    pub authority: PathBuf,
}

/// As [`database`].
pub fn over_tls(test: &str) -> Option<OverTls> {
    let (folder, name) = new_database(test)?;
    Some(OverTls {
        url: format!("postgres://opsbook@{}:{PORT}/{name}", address()),
        authority: folder.join("authority.pem"),
    })
}

const PORT: u16 = 15432;

/// A loopback address for this process alone.
fn address() -> String {
    let [.., high, low] = std::process::id().to_be_bytes();
    format!("127.79.{high}.{low}")
}

fn new_database(test: &str) -> Option<(&'static Path, String)> {
    static SERVER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    match SERVER.get_or_init(start) {
        Ok(folder) => {
            let name = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
            let made = psql(folder, &format!("create database {name}"));
            assert!(made, "a database can be made");
            Some((folder, name))
        }
        Err(why) => {
            skipped(test, why);
            None
        }
    }
}

/// Reports that a test cannot run here; in CI as root that is a failure.
pub fn skipped(test: &str, why: &str) {
    let in_ci = std::env::var("CI").as_deref() == Ok("true");
    assert!(
        !in_ci || !rustix::process::geteuid().is_root(),
        "{test} cannot be skipped in CI: {why}"
    );
    let _ = writeln!(std::io::stderr(), "skipped {test}: {why}");
}

fn start() -> Result<PathBuf, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root can start PostgreSQL as another user".to_owned());
    }
    let program = programs()?;
    let folder = PathBuf::from(format!("/tmp/opsbook-postgres-{}", std::process::id()));
    let data = folder.join("data");
    // The server's user can remove the folder at the end.
    let made = as_postgres("KILL")
        .args(["mkdir", "-m", "755"])
        .arg(&folder)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return Err("there is no user `postgres`".to_owned());
    }
    let made = as_postgres("KILL")
        .arg(program.join("initdb"))
        .args([
            "--auth=trust",
            "--username=opsbook",
            "--no-sync",
            "--encoding=UTF8",
            "-D",
        ])
        .arg(&data)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return Err("`initdb` failed".to_owned());
    }
    vouch(&folder, &data);
    run(&program, &folder, &data);
    let deadline = Instant::now() + Duration::from_mins(1);
    while !psql(&folder, "select 1") {
        if Instant::now() > deadline {
            return Err("PostgreSQL does not answer within a minute".to_owned());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(folder)
}

/// Texts in PEM.
pub struct Certified {
    /// The certificate of an authority.
    pub authority: String,
    /// A certificate that it has signed.
    pub own: String,
    /// The key of that certificate.
    pub key: String,
}

/// A certificate for this host, of an authority of its own.
pub fn certified(host: &str) -> Certified {
    let (theirs, own) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&theirs).unwrap().pem();
    let certificate = CertificateParams::new([host.to_owned()]).unwrap();
    let certificate = certificate.signed_by(&own, &Issuer::new(authority, theirs));
    Certified {
        authority: root,
        own: certificate.unwrap().pem(),
        key: own.serialize_pem(),
    }
}

/// Gives the server a certificate for its address, and refuses TCP without TLS.
fn vouch(folder: &Path, data: &Path) {
    let Certified {
        authority,
        own,
        key,
    } = certified(&address());
    for (name, mode, text) in [
        ("authority.pem", "644", authority),
        ("server.pem", "644", own),
        ("server.key", "600", key),
        (
            "data/pg_hba.conf",
            "600",
            "local all all trust\nhostssl all all 127.0.0.0/8 trust\n".to_owned(),
        ),
    ] {
        let script = format!("umask 077 && cat >\"$1\" && chmod {mode} \"$1\"");
        let mut writing = as_postgres("KILL")
            .args(["sh", "-c", &script, "sh"])
            .arg(folder.join(name))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = writing.stdin.take().unwrap();
        pipe.write_all(text.as_bytes()).unwrap();
        drop(pipe);
        assert!(writing.wait().unwrap().success(), "{}", data.display());
    }
}

/// The server ends with the thread that started it, which ends with this process.
fn run(program: &Path, folder: &Path, data: &Path) {
    let script = format!(
        "trap 'kill -INT $server; wait; rm -rf {0}' TERM; \
         {1}/postgres -D {2} -k {0} -c listen_addresses={3} -c port={PORT} -c fsync=off -c ssl=on \
         -c ssl_cert_file={0}/server.pem -c ssl_key_file={0}/server.key >{0}/log 2>&1 & \
         server=$!; wait; wait",
        folder.display(),
        program.display(),
        data.display(),
        address()
    );
    std::thread::spawn(move || {
        let mut server = as_postgres("TERM");
        let server = server.args(["sh", "-c", &script]).stdin(Stdio::null());
        let server = server.stdout(Stdio::null()).stderr(Stdio::null());
        let _ = server.status();
    });
}

fn as_postgres(signal: &str) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(format!("--pdeathsig={signal}"))
        .current_dir("/tmp");
    command
}

fn psql(folder: &Path, statement: &str) -> bool {
    let psql = Command::new("psql")
        .args([
            "--no-psqlrc",
            "--quiet",
            "-U",
            "opsbook",
            "-d",
            "postgres",
            "-p",
            &PORT.to_string(),
            "-h",
        ])
        .arg(folder)
        .args(["-c", statement])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    psql.is_ok_and(|status| status.success())
}

fn programs() -> Result<PathBuf, String> {
    let versions = std::fs::read_dir("/usr/lib/postgresql");
    let versions = versions.map_err(|_| "postgresql is not installed".to_owned())?;
    let mut all: Vec<PathBuf> = versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|folder| folder.join("initdb").exists())
        .collect();
    all.sort();
    all.pop()
        .ok_or_else(|| "postgresql is not installed".to_owned())
}
