//! Nodes that look like separate machines to a test: processes, disk, link, host name, boot id, a
//! user `ops` whose `sudo` asks for a password. Needs root. `node.sh` makes them with `unshare`,
//! `mount` and `ip`; dropping one removes everything.

mod slot;

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use opsbook::session::{Ssh, Target};
use slot::Slot;

use crate::sshd::{self, Skip};
use crate::tier;

/// The password of `ops`: odd enough to be found wherever it leaks, and to break wrong quoting.
pub const PASSWORD: &str = "Wo5-canary'9 x";
const PASSWORD_HASH: &str = "$6$opsbook$z1oVwsUbMbS3zNJwV9.VmlyVRMnYRIMqZmxmMZXvKcR8zjJy2OkMJ/B6DI/UMHOuPdP6WBfGtJjcW6dmDvWbz.";
/// The time limit for a node's own actions; ten times what a busy machine takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running node.
pub struct Node {
    pub dir: tempfile::TempDir,
    outer: Child,
    slot: Slot,
}

/// A network of nodes that reach each other. Must be dropped after its nodes.
pub struct Network(Slot);

/// The properties of a node.
#[derive(Clone, Debug)]
pub struct Kind {
    pub systemd: bool,
    /// The size of a separate file system for the home directory, as for `mount`.
    pub home: Option<&'static str>,
    /// Lines for sudo about `ops`.
    pub sudoers: &'static str,
    /// Lines for its `sshd_config`; the first of a kind counts.
    pub sshd: &'static str,
    /// The login shell of `ops`.
    pub shell: &'static str,
}

impl Kind {
    /// `ops` may do everything with sudo, without a password.
    pub const FREE: Kind = Kind {
        systemd: false,
        home: None,
        sudoers: "ops ALL=(ALL:ALL) NOPASSWD: ALL\n",
        sshd: "",
        shell: "/bin/bash",
    };
}

impl Default for Kind {
    fn default() -> Self {
        Self {
            systemd: false,
            home: None,
            sudoers: "ops ALL=(ALL:ALL) ALL\n",
            sshd: "",
            shell: "/bin/bash",
        }
    }
}

impl Node {
    /// A node whose process 1 is its `sshd`.
    pub fn start() -> Result<Self, Skip> {
        Self::of(&Kind::default())
    }

    /// A node whose process 1 is systemd: it has services, and can restart.
    pub fn with_systemd() -> Result<Self, Skip> {
        Self::of(&Kind {
            systemd: true,
            ..Kind::default()
        })
    }

    pub fn of(kind: &Kind) -> Result<Self, Skip> {
        Self::made(kind, None)
    }

    fn made(kind: &Kind, network: Option<&Network>) -> Result<Self, Skip> {
        if kind.systemd {
            tier::t3()?;
        } else {
            tier::t2()?;
        }
        let slot = network.map_or_else(Slot::take, |network| Slot::take_in(&network.0));
        let dir = tempfile::Builder::new()
            .prefix("opsbook-lab-")
            .tempdir()
            .unwrap();
        write(dir.path(), &slot, kind);
        if kind.systemd {
            slot.make_cgroups();
        }
        let outer = start(dir.path(), &slot, kind);
        let node = Self { dir, outer, slot };
        node.connect(network)?;
        node.await_answer()?;
        Ok(node)
    }

    pub fn name(&self) -> &str {
        &self.slot.name
    }

    pub fn address(&self) -> String {
        self.slot.address(2)
    }

    /// How to reach it as `ops`, with a known host key.
    pub fn ssh(&self) -> Ssh {
        let known = self.dir.path().join("known_hosts");
        Ssh {
            host: self.address(),
            user: Some("ops".to_owned()),
            port: None,
            jump: None,
            keep: None,
            in_process: crate::sshd::in_process(),
            identity: Some(sshd::keys().join("login")),
            options: vec![
                format!("UserKnownHostsFile={}", known.display()),
                "GlobalKnownHostsFile=/dev/null".to_owned(),
                "StrictHostKeyChecking=yes".to_owned(),
                "KexAlgorithms=curve25519-sha256".to_owned(),
                // A cut is noticed in 3 seconds instead of 15.
                "ServerAliveInterval=1".to_owned(),
            ],
        }
    }

    pub fn transport(&self) -> Target {
        Target::Ssh(self.ssh())
    }

    /// The path of a node's file on this machine.
    pub fn path(&self, on_node: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{on_node}", self.process_1()))
    }

    /// The path of the home directory of `ops` on this machine.
    pub fn home(&self) -> PathBuf {
        self.path("/home/ops")
    }

    /// Runs a command as root on the node, without ssh and the network.
    pub fn root(&self, script: &str) -> String {
        let out = Command::new("nsenter")
            .arg("-t")
            .arg(self.process_1().to_string())
            .args(["-m", "-p", "-u", "-i", "-n", "--", "sh", "-euc", script])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "on the node: {script}: {said}");
        String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
    }

    /// Disconnects the cable.
    pub fn cut(&self) {
        self.in_network("ip link set eth0 down");
    }

    /// Connects it again, and waits for the network.
    pub fn heal(&self) {
        let gateway = self.slot.address(1);
        self.in_network(&format!(
            "ip link set eth0 up; ip route replace default via {gateway}"
        ));
        let answers = self.await_answer();
        assert!(answers.is_ok(), "{answers:?}");
    }

    /// Drops this percentage of incoming packets; 0 for none.
    pub fn lose(&self, percent: u32) {
        self.in_network("nft delete table inet lab 2>/dev/null || :");
        if percent > 0 {
            let some = match percent {
                100.. => String::new(),
                _ => format!("numgen random mod 100 < {percent}"),
            };
            self.in_network(&format!(
                "nft 'add table inet lab; add chain inet lab in {{ type filter hook input priority -10; }}; add rule inet lab in {some} drop'"
            ));
        }
    }

    /// Stops all its processes, like a machine that swaps or is suspended.
    pub fn freeze(&self) {
        for pid in self.processes() {
            sshd::kill(pid, "STOP");
        }
    }

    pub fn thaw(&self) {
        for pid in self.processes() {
            sshd::kill(pid, "CONT");
        }
    }

    /// A power failure. Data on disk stays.
    pub fn power_off(&self) {
        fs::write(self.dir.path().join("restart"), "").unwrap();
        fs::write(self.dir.path().join("hold"), "").unwrap();
        let old = self.process_1();
        sshd::kill(old, "KILL");
        until("the node is down", || {
            !Path::new(&format!("/proc/{old}")).exists()
        });
    }

    pub fn is_off(&self) -> bool {
        self.dir.path().join("hold").exists()
    }

    pub fn power_on(&self) {
        fs::remove_file(self.dir.path().join("hold")).unwrap();
        self.await_answer().unwrap();
    }

    /// All processes on the node.
    pub fn processes(&self) -> Vec<u32> {
        let Some(first) = self.find_process_1() else {
            return Vec::new();
        };
        let namespace = fs::read_link(format!("/proc/{first}/ns/pid")).ok();
        sshd::processes()
            .filter(|pid| fs::read_link(format!("/proc/{pid}/ns/pid")).ok() == namespace)
            .collect()
    }

    /// Process 1 of the node, by its id on this machine.
    pub fn process_1(&self) -> u32 {
        let begin = Instant::now();
        loop {
            match self.find_process_1() {
                Some(pid) => return pid,
                None if begin.elapsed() > PATIENCE => panic!("no process 1: {}", self.console()),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    pub fn console(&self) -> String {
        fs::read_to_string(self.dir.path().join("console")).unwrap_or_default()
    }

    fn find_process_1(&self) -> Option<u32> {
        sshd::tree(self.outer.id()).into_iter().find(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let numbers = status.lines().find(|line| line.starts_with("NSpid:"));
            let last = numbers.and_then(|line| line.split_whitespace().nth(2));
            last == Some("1")
        })
    }

    fn connect(&self, shared: Option<&Network>) -> Result<(), Skip> {
        let network = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let outer = self.outer.id().to_string();
        until("the node has a network of its own", || {
            network(&outer).is_some_and(|its| Some(its) != network("self"))
        });
        let (link, ours, its) = (&self.slot.link, self.slot.address(1), self.slot.address(2));
        ip(&[
            "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", &outer,
        ])?;
        match shared {
            None => ip(&["addr", "add", &format!("{ours}/30"), "dev", link])?,
            Some(Network(slot)) => ip(&["link", "set", link, "master", &slot.link])?,
        }
        ip(&["link", "set", link, "up"])?;
        let prefix = self.slot.prefix();
        self.in_network(&format!(
            "ip addr add {its}/{prefix} dev eth0; ip link set lo up; ip link set eth0 up; ip route add default via {ours}"
        ));
        Ok(())
    }

    fn in_network(&self, script: &str) {
        let done = Command::new("nsenter")
            .args([
                "-t",
                &self.outer.id().to_string(),
                "-n",
                "sh",
                "-euc",
                script,
            ])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "in the network: {script}: {said}");
    }

    fn await_answer(&self) -> Result<(), Skip> {
        let to: SocketAddr = format!("{}:22", self.address()).parse().unwrap();
        let begin = Instant::now();
        while TcpStream::connect_timeout(&to, Duration::from_secs(1)).is_err() {
            let gone = !Path::new(&format!("/proc/{}/ns/net", self.outer.id())).exists();
            if gone || begin.elapsed() > PATIENCE {
                let console = self.console();
                return Err(Skip(format!("a node does not come up: {console}")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Network {
    pub fn start() -> Result<Self, Skip> {
        tier::t2()?;
        let slot = Slot::take();
        let address = format!("{}/24", slot.gateway());
        ip(&["link", "add", &slot.link, "type", "bridge"])?;
        ip(&["addr", "add", &address, "dev", &slot.link])?;
        ip(&["link", "set", &slot.link, "up"])?;
        Ok(Self(slot))
    }

    /// This machine's address in the network.
    pub fn gateway(&self) -> String {
        self.0.gateway()
    }

    /// A node in the network.
    pub fn node(&self, kind: &Kind) -> Result<Node, Skip> {
        Node::made(kind, Some(self))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let left = self.0.clean();
        if !std::thread::panicking() {
            assert!(left.is_empty(), "left of a network: {}", left.join(", "));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Frozen processes are also killed. The end of standard input is the signal.
        let pids = self.processes();
        drop(self.outer.stdin.take());
        let begin = Instant::now();
        while !matches!(self.outer.try_wait(), Ok(Some(_)) | Err(_)) {
            if begin.elapsed() > PATIENCE {
                sshd::kill(self.outer.id(), "KILL");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let alive = |pid: &u32| Path::new(&format!("/proc/{pid}")).exists();
        while pids.iter().any(alive) && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut left: Vec<String> = pids
            .iter()
            .filter(|pid| alive(pid))
            .map(u32::to_string)
            .collect();
        left.extend(self.slot.clean());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let dir = self.dir.path().to_string_lossy().into_owned();
        left.extend(
            mounts
                .lines()
                .filter(|line| line.contains(&dir))
                .map(str::to_owned),
        );
        if !std::thread::panicking() {
            assert!(left.is_empty(), "left of a node: {}", left.join(", "));
        }
    }
}

/// Waits for a condition.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ip(arguments: &[&str]) -> Result<(), Skip> {
    let out = Command::new("ip").args(arguments).output().unwrap();
    if out.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&out.stderr);
    Err(Skip(format!("`ip {}`: {said}", arguments.join(" "))))
}

fn start(dir: &Path, slot: &Slot, kind: &Kind) -> Child {
    use std::os::unix::process::CommandExt as _;
    let console = fs::File::create(dir.join("console")).unwrap();
    Command::new("unshare")
        .args(["-m", "-n", "sh"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/lab/node.sh"))
        .arg("outer")
        .arg(dir)
        .arg(&slot.name)
        .arg(if kind.systemd { "systemd" } else { "sshd" })
        .arg(kind.home.unwrap_or("1g"))
        .stdin(Stdio::piped())
        .stdout(console.try_clone().unwrap())
        .stderr(console)
        .process_group(0)
        .spawn()
        .unwrap()
}

/// Writes the files below `etc/` that differ from this machine.
fn write(dir: &Path, slot: &Slot, kind: &Kind) {
    let put = |path: &str, text: String| {
        let path = dir.join("etc").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let with = |file: &str, line: String| {
        let text = fs::read_to_string(Path::new("/etc").join(file)).unwrap_or_default();
        // This machine may have its own user `ops`.
        let others = text.lines().filter(|line| !line.starts_with("ops:"));
        let lines: Vec<_> = others.chain([line.as_str()]).collect();
        put(file, lines.join("\n") + "\n");
    };
    let keys = sshd::keys();
    let key = |name: &str| fs::read_to_string(keys.join(name)).unwrap();
    with(
        "passwd",
        format!("ops:x:4242:4242::/home/ops:{}", kind.shell),
    );
    with("group", "ops:x:4242:".to_owned());
    with("shadow", format!("ops:{PASSWORD_HASH}:19000:0:99999:7:::"));
    put("hostname", format!("{}\n", slot.name));
    put("hosts", format!("127.0.0.1 localhost {}\n", slot.name));
    put("sudoers.d/ops", kind.sudoers.to_owned());
    put("ssh/lab_host_key", key("host"));
    put("ssh/lab_login.pub", key("login.pub"));
    put(
        "ssh/sshd_config",
        format!(
            "{}\nHostKey /etc/ssh/lab_host_key\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n\
             AuthorizedKeysFile /etc/ssh/lab_login.pub\nPidFile none\nPrintMotd no\n\
             Subsystem sftp internal-sftp\n",
            kind.sshd
        ),
    );
    put(
        "systemd/system/lab.target",
        "[Unit]\nRequires=basic.target\nAfter=basic.target\nWants=lab-sshd.service\nAllowIsolate=yes\n"
            .to_owned(),
    );
    put(
        "systemd/system/lab-sshd.service",
        "[Service]\nExecStart=/usr/sbin/sshd -D -e\nKillMode=process\nRestart=on-failure\n"
            .to_owned(),
    );
    put(
        "systemd/system.conf.d/lab.conf",
        "[Manager]\nDefaultTimeoutStopSec=3s\n".to_owned(),
    );
    fs::create_dir(dir.join("disk")).unwrap();
    let known = format!("{} {}", slot.address(2), key("host.pub"));
    fs::write(dir.join("known_hosts"), known).unwrap();
}
