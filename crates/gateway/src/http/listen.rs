//! Accepts connections, limited in number and in the time for their first bytes, until the gateway
//! stops. Plain HTTP on the TLS address gets an explanation.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::guard::Peer;
use crate::tls::{ServerTls, sum};

/// The most connections of each listener.
const MOST: usize = 4096;
/// For a handshake, and for the head of a request.
const FIRST_WORDS: Duration = Duration::from_secs(10);
const HEAD: Duration = Duration::from_mins(1);
/// The pause when no connection can be accepted, for example because of the limit of open files.
const AGAIN: Duration = Duration::from_secs(1);
/// The first byte of a TLS connection.
const HANDSHAKE: u8 = 0x16;
/// The answer to plain HTTP.
const CLEAR: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\
                     content-length: 45\r\n\r\nthis address speaks TLS: use `https://...`\n";

/// A listening socket.
pub(super) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
    Tls(TcpListener, Arc<ServerTls>),
}

impl Listener {
    /// Serves until `stop`; requests in progress are completed.
    pub(super) async fn serve(self, app: Router, mut stop: watch::Receiver<()>) {
        let room = Arc::new(Semaphore::new(MOST));
        let mut all = JoinSet::new();
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                break;
            };
            let accepted = tokio::select! {
                // If the sender is gone, stop as well.
                _ = stop.changed() => break,
                accepted = self.accept() => accepted,
            };
            let Ok(accepted) = accepted else {
                tokio::time::sleep(AGAIN).await;
                continue;
            };
            let (app, stop) = (app.clone(), stop.clone());
            all.spawn(async move {
                accepted.serve(app, stop).await;
                drop(permit);
            });
            while all.try_join_next().is_some() {}
        }
        drop(self);
        while all.join_next().await.is_some() {}
    }

    async fn accept(&self) -> std::io::Result<Accepted> {
        Ok(match self {
            Listener::Unix(listener) => {
                let stream = listener.accept().await?.0;
                Accepted::Unix(stream)
            }
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Accepted::Tcp(stream, address)
            }
            Listener::Tls(listener, tls) => {
                let (stream, address) = listener.accept().await?;
                Accepted::Tls(stream, address, Arc::clone(tls))
            }
        })
    }
}

enum Accepted {
    Unix(tokio::net::UnixStream),
    Tcp(TcpStream, SocketAddr),
    Tls(TcpStream, SocketAddr, Arc<ServerTls>),
}

impl Accepted {
    async fn serve(self, app: Router, stop: watch::Receiver<()>) {
        match self {
            Accepted::Unix(stream) => {
                let peer = match stream.peer_cred() {
                    Ok(who) => Peer::User(who.uid()),
                    Err(_) => Peer::Unknown,
                };
                requests(stream, peer, app, stop).await;
            }
            Accepted::Tcp(stream, address) => {
                let _ = stream.set_nodelay(true);
                requests(stream, Peer::Address(address), app, stop).await;
            }
            Accepted::Tls(stream, address, tls) => {
                let _ = stream.set_nodelay(true);
                let Ok(local) = stream.local_addr() else {
                    return;
                };
                let shaken = tokio::time::timeout(FIRST_WORDS, handshake(stream, &tls)).await;
                let Ok(Some(stream)) = shaken else { return };
                let shown = stream.get_ref().1.peer_certificates();
                let peer = Peer::Tls {
                    address,
                    local,
                    certificate: shown.and_then(|chain| chain.first()).map(sum),
                };
                requests(stream, peer, app, stop).await;
            }
        }
    }
}

async fn handshake(
    mut stream: TcpStream,
    tls: &ServerTls,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? == 1 && first[0] != HANDSHAKE {
        let _ = stream.write_all(CLEAR.as_bytes()).await;
        let _ = stream.shutdown().await;
        return None;
    }
    TlsAcceptor::from(tls.config()).accept(stream).await.ok()
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    app: Router,
    mut stop: watch::Receiver<()>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer.clone()));
        app.clone().oneshot(request)
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(TokioIo::new(stream), service)
    );
    // How a connection ends does not matter here.
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
