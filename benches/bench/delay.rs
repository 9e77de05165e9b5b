//! ! A proxy in front of a server that delays all traffic by a constant time.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::Way;
use super::sshd::Sshd;

/// Returns the way to a server with a round trip of twice `by`. The proxy lasts as long as the
/// runtime.
pub fn delayed(server: &Sshd, by: Duration, curve: bool) -> (Runtime, Way) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let to = (server.address.clone(), server.port);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    runtime.spawn(proxy(listener, to, by));
    know(server, port);
    let port = Some(port);
    let way = Way {
        port,
        curve,
        ..Way::default()
    };
    (runtime, way)
}

/// Adds this port to the known hosts of the server.
fn know(server: &Sshd, port: u16) {
    let path = server.dir.path().join("known_hosts");
    let known = std::fs::read_to_string(&path).unwrap();
    let key = known.split_once(' ').unwrap().1;
    std::fs::write(&path, format!("{known}[127.0.0.1]:{port} {key}")).unwrap();
}

/// Forwards all traffic, each piece delayed by the same time.
async fn proxy(listener: TcpListener, to: (String, u16), by: Duration) {
    while let Ok((from, _)) = listener.accept().await {
        let Ok(to) = TcpStream::connect((to.0.as_str(), to.1)).await else {
            continue;
        };
        let _ = (from.set_nodelay(true), to.set_nodelay(true));
        let ((from_read, from_write), (to_read, to_write)) = (from.into_split(), to.into_split());
        tokio::spawn(later(from_read, to_write, by));
        tokio::spawn(later(to_read, from_write, by));
    }
}

async fn later(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    by: Duration,
) {
    let (sender, mut pieces) =
        tokio::sync::mpsc::unbounded_channel::<(tokio::time::Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((due, piece)) = pieces.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(got @ 1..) = from.read(&mut buffer).await {
        let piece = (tokio::time::Instant::now() + by, buffer[..got].to_vec());
        if sender.send(piece).is_err() {
            return;
        }
    }
}
