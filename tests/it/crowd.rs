//! Many nodes on one machine: an address for each, one `sshd` for all, and some nodes that are dead
//! in various ways. Nothing listens outside 127.67.0.0/16.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::sshd::{Skip, Special, Sshd, user};

/// The nodes `n0000` and so on, as long as this value lives.
pub struct Crowd {
    server: Arc<Sshd>,
    port: u16,
    count: usize,
    every: usize,
    runtime: tokio::runtime::Runtime,
}

/// The kind of a dead node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dead {
    /// Nothing listens.
    Refuses,
    /// It accepts, and never sends anything.
    IsSilent,
    /// It cuts the connection during the key exchange.
    CutsEarly,
    /// It cuts the connection in the middle of the session.
    CutsLate,
}

impl Dead {
    const ALL: [Dead; 4] = [
        Dead::Refuses,
        Dead::IsSilent,
        Dead::CutsEarly,
        Dead::CutsLate,
    ];
}

impl Crowd {
    /// Starts `count` nodes; one of `every` is dead.
    pub fn start(count: usize, every: usize) -> Result<Crowd, Skip> {
        // One socket each, two more for each connection.
        opsbook::session::raise_limits();
        let server = Sshd::special(&Special {
            config: "SetEnv HOME=/nonexistent\nMaxStartups 500\nMaxSessions 500".to_owned(),
            ..Special::default()
        })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| Skip(format!("no runtime: {error}")))?;
        let mut crowd = Crowd {
            server: Arc::new(server),
            port: 0,
            count,
            every,
            runtime,
        };
        let listening = crowd.listen();
        listening.map_err(|error| Skip(format!("no address on 127.67.0.0/16: {error}")))?;
        Ok(crowd)
    }

    /// The dead nodes, by name.
    pub fn dead(&self) -> Vec<(String, Dead)> {
        let dead = |number| Some((name(number), self.is_dead(number)?));
        (0..self.count).filter_map(dead).collect()
    }

    pub fn nodes(&self) -> String {
        let (user, ssh) = (user(), self.server.ssh());
        let known = self.server.dir.path().join("crowd");
        let key = std::fs::read_to_string(crate::sshd::keys().join("host.pub")).unwrap();
        std::fs::write(&known, format!("[127.67.*]:{} {key}", self.port)).unwrap();
        let mut text = format!(
            "opsbook: 1\ndefaults:\n  user: {user}\n  port: {}\n  identity: \"{}\"\n  ssh_options:\n  - UserKnownHostsFile={}\n",
            self.port,
            ssh.identity.unwrap().display(),
            known.display()
        );
        for option in &ssh.options[1..] {
            text.push_str(&format!("  - {option}\n"));
        }
        text.push_str("nodes:\n");
        for number in 0..self.count {
            let (name, address) = (name(number), address(number));
            text.push_str(&format!("  {name}: {{address: {address}}}\n"));
        }
        text
    }

    fn is_dead(&self, number: usize) -> Option<Dead> {
        // In the middle of each group, so that neither the first nor the last is dead.
        (number % self.every == self.every / 2)
            .then(|| Dead::ALL[number / self.every % Dead::ALL.len()])
    }

    fn listen(&mut self) -> io::Result<()> {
        for number in 0..self.count {
            let dead = self.is_dead(number);
            if dead == Some(Dead::Refuses) {
                continue;
            }
            let at: SocketAddr = format!("{}:{}", address(number), self.port)
                .parse()
                .map_err(io::Error::other)?;
            let listener = self.runtime.block_on(TcpListener::bind(at))?;
            self.port = listener.local_addr()?.port();
            let server = Arc::clone(&self.server);
            self.runtime.spawn(serve(listener, server, dead));
        }
        Ok(())
    }
}

fn name(number: usize) -> String {
    format!("n{number:04}")
}

fn address(number: usize) -> String {
    format!("127.67.{}.{}", 1 + number / 250, 1 + number % 250)
}

async fn serve(listener: TcpListener, server: Arc<Sshd>, dead: Option<Dead>) {
    let mut held = Vec::new();
    while let Ok((from, _)) = listener.accept().await {
        if dead == Some(Dead::IsSilent) {
            held.push(from);
            continue;
        }
        let to = (server.address.clone(), server.port);
        tokio::spawn(async move {
            let Ok(to) = TcpStream::connect(to).await else {
                return;
            };
            // A banner and some of the keys; or the whole login, and half of the runner.
            let (most_to, most_from) = match dead {
                Some(Dead::CutsEarly) => (u64::MAX, 200),
                Some(Dead::CutsLate) => (9_000, u64::MAX),
                _ => (u64::MAX, u64::MAX),
            };
            let ((from_read, from_write), (to_read, to_write)) =
                (from.into_split(), to.into_split());
            tokio::select! {
                () = pass(from_read, to_write, most_to) => {}
                () = pass(to_read, from_write, most_from) => {}
            }
        });
    }
}

/// Passes on at most this many bytes; at the end of the input, the other direction gets a moment to
/// end.
async fn pass(from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, most: u64) {
    let _ = tokio::io::copy(&mut from.take(most), &mut to).await;
    let _ = to.shutdown().await;
    if most == u64::MAX {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}
