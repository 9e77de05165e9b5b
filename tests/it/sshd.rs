//! Private nodes on this machine: one `sshd` each, with its own address in 127.66.0.0/16, run by
//! the current user with temporary keys, removed when dropped. Needs openssh's server and client;
//! without them a test is skipped by name, and fails in CI as root.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use opsbook::session::{OpenOptions, Ssh, Target};

/// Why a test cannot run on this machine.
#[derive(Debug)]
pub struct Skip(pub String);

/// A node, and its home directory.
pub struct Sshd {
    pub dir: tempfile::TempDir,
    pub address: String,
    pub port: u16,
    server: Child,
}

/// Special properties of a node.
#[derive(Clone, Debug, Default)]
pub struct Special {
    /// Lines for its `sshd_config`.
    pub config: String,
    /// A script that every login runs first, instead of login files.
    pub login: String,
    /// The program that is `sh` on the node.
    pub shell: Option<PathBuf>,
    /// A script that root runs first, in the node's own mount namespace, where `/etc` can be
    /// changed.
    pub etc: Option<String>,
}

impl Sshd {
    pub fn start() -> Result<Self, Skip> {
        Self::special(&Special::default())
    }

    pub fn special(special: &Special) -> Result<Self, Skip> {
        let program = sshd()?;
        let dir = tempfile::Builder::new()
            .prefix("opsbook-node-")
            .tempdir()
            .map_err(|error| Skip(format!("no temporary directory: {error}")))?;
        let (address, port) = address();
        write_node(dir.path(), &address, port, special);
        let server = server(&program, dir.path(), special.etc.as_deref())?
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Skip(format!("sshd does not start: {error}")))?;
        let mut node = Self {
            dir,
            address,
            port,
            server,
        };
        node.await_answer();
        Ok(node)
    }

    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// How to reach it, with a known host key.
    pub fn ssh(&self) -> Ssh {
        Ssh {
            host: self.address.clone(),
            user: Some(user()),
            port: Some(self.port),
            jump: None,
            keep: None,
            in_process: in_process(),
            identity: Some(keys().join("login")),
            options: vec![
                format!(
                    "UserKnownHostsFile={}",
                    self.dir.path().join("known_hosts").display()
                ),
                "GlobalKnownHostsFile=/dev/null".to_owned(),
                "StrictHostKeyChecking=yes".to_owned(),
                "KexAlgorithms=curve25519-sha256".to_owned(),
            ],
        }
    }

    pub fn transport(&self) -> Target {
        Target::Ssh(self.ssh())
    }

    /// The processes of this server, itself first.
    pub fn processes(&self) -> Vec<u32> {
        tree(self.server.id())
    }

    fn await_answer(&mut self) {
        let to: SocketAddr = format!("{}:{}", self.address, self.port).parse().unwrap();
        let log = || fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        let begin = Instant::now();
        while TcpStream::connect_timeout(&to, Duration::from_secs(1)).is_err() {
            let ended = self.server.try_wait().unwrap();
            assert!(ended.is_none(), "sshd ended: {}", log());
            assert!(
                begin.elapsed() < Duration::from_secs(20),
                "sshd is silent: {}",
                log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        for pid in self.processes().into_iter().rev() {
            kill(pid, "KILL");
        }
        let _ = self.server.wait();
    }
}

/// Whether this run of the tests is about opsbook's own ssh: `OPSBOOK_TEST_SSH=russh`.
pub fn in_process() -> bool {
    std::env::var("OPSBOOK_TEST_SSH").is_ok_and(|word| word == "russh")
}

/// Runs a test, or reports why it cannot run.
pub fn or_skip<T>(name: &str, result: Result<T, Skip>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(Skip(reason)) => {
            let root = rustix_uid() == 0;
            let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!(root && ci), "{name} cannot run: {reason}");
            // Bypass the capture of test output: a skipped test must not look like a successful
            // one.
            let _ = writeln!(std::io::stderr(), "skipped {name}: {reason}");
            None
        }
    }
}

/// Options without this user's own ssh configuration.
pub fn options() -> OpenOptions {
    OpenOptions {
        ssh_config: Some(PathBuf::from("none")),
        ..OpenOptions::default()
    }
}

pub fn kill(pid: u32, signal: &str) {
    let kill = Command::new("kill")
        .arg("-s")
        .arg(signal)
        .arg(pid.to_string())
        .stderr(Stdio::null())
        .status();
    let _ = kill;
}

/// A process and its descendants, parents first.
pub fn tree(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = processes()
        .filter_map(|pid| Some((pid, parent(pid)?)))
        .collect();
    let mut all = vec![root];
    let mut at = 0;
    while let Some(&next) = all.get(at) {
        let children = parents.iter().filter(|(_, parent)| *parent == next);
        all.extend(children.map(|(pid, _)| *pid));
        at += 1;
    }
    all
}

/// Every process of this machine.
pub fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// The command that becomes the server, so that its process id is the server's.
fn server(program: &Path, dir: &Path, etc: Option<&str>) -> Result<Command, Skip> {
    let mut command = Command::new(if etc.is_some() {
        Path::new("unshare")
    } else {
        program
    });
    if let Some(etc) = etc {
        if rustix_uid() != 0 {
            return Err(Skip("needs root, for a namespace of its own".to_owned()));
        }
        let script = format!(
            "set -e; mount -t tmpfs none /mnt; mkdir /mnt/u /mnt/w\n\
             mount -t overlay none -o lowerdir=/etc,upperdir=/mnt/u,workdir=/mnt/w /etc\n{etc}\nexec \"$@\""
        );
        command
            .args(["-m", "--propagation", "private", "sh", "-c", &script, "sh"])
            .arg(program);
    }
    command
        .arg("-D")
        .arg("-f")
        .arg(dir.join("sshd_config"))
        .arg("-E")
        .arg(dir.join("log"));
    Ok(command)
}

fn sshd() -> Result<PathBuf, Skip> {
    let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];
    let found = places.iter().map(PathBuf::from).find(|path| path.exists());
    let found = found.ok_or_else(|| Skip("no sshd here: install openssh-server".to_owned()))?;
    if rustix_uid() == 0 {
        let _ = fs::create_dir_all("/run/sshd");
    }
    Ok(found)
}

/// An address and a port that no other test uses.
fn address() -> (String, u16) {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let pid = std::process::id();
    let port = 20_000 + u16::try_from(pid % 20_000).unwrap();
    (
        format!(
            "127.66.{}.{}",
            1 + (pid / 20_000 + u32::from(number / 250)) % 250,
            1 + number % 250
        ),
        port,
    )
}

fn write_node(dir: &Path, address: &str, port: u16, special: &Special) {
    let (home, bin) = (dir.join("home"), dir.join("bin"));
    fs::create_dir(&home).unwrap();
    if special.etc.is_some() {
        // Other users log in here.
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
    }
    fs::copy(keys().join("login.pub"), dir.join("authorized")).unwrap();
    fs::create_dir(&bin).unwrap();
    let shell = special
        .shell
        .clone()
        .unwrap_or_else(|| PathBuf::from("/bin/sh"));
    std::os::unix::fs::symlink(shell, bin.join("sh")).unwrap();
    let login = dir.join("login");
    let text = format!(
        "#!/bin/sh\nHOME='{}'; PATH='{}':$PATH; export HOME PATH; unset XDG_RUNTIME_DIR; cd\n{}\n\
         exec sh -c \"$SSH_ORIGINAL_COMMAND\"\n",
        home.display(),
        bin.display(),
        special.login
    );
    fs::write(&login, text).unwrap();
    fs::set_permissions(&login, fs::Permissions::from_mode(0o755)).unwrap();
    let keys = keys();
    let config = format!(
        "ListenAddress {address}:{port}\nHostKey {keys}/host\nPidFile none\nStrictModes no\nUsePAM no\n\
         AuthorizedKeysFile {authorized}\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nForceCommand {login}\nSetEnv HOME={home}\n{}\n",
        special.config,
        // The login shell must not read the start files of the user who runs the tests.
        home = home.display(),
        keys = keys.display(),
        login = login.display(),
        authorized = dir.join("authorized").display(),
    );
    fs::write(dir.join("sshd_config"), config).unwrap();
    let key = fs::read_to_string(keys.join("host.pub")).unwrap();
    fs::write(dir.join("known_hosts"), format!("[{address}]:{port} {key}")).unwrap();
}

/// Temporary keys below the build directory: `host`, `login`, `stranger`.
pub fn keys() -> &'static Path {
    static KEYS: OnceLock<PathBuf> = OnceLock::new();
    KEYS.get_or_init(|| {
        let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("keys");
        if !place.exists() {
            let aside = place.with_extension(std::process::id().to_string());
            make_keys(&aside);
            // Another test process may be faster; its keys are equally good.
            if fs::rename(&aside, &place).is_err() {
                let _ = fs::remove_dir_all(&aside);
            }
        }
        place
    })
}

fn make_keys(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    for name in ["host", "login", "stranger"] {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
            .arg(dir.join(name))
            .status();
        assert!(made.unwrap().success(), "no ssh-keygen");
    }
}

pub fn user() -> String {
    let out = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

fn rustix_uid() -> u32 {
    rustix::process::getuid().as_raw()
}
