//! Opens connections to a gateway. The only file that does.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::Address;
use crate::tls::over;

/// For connecting, including name resolution.
const CONNECT: Duration = Duration::from_secs(10);

pub(crate) type Connection = SendRequest<Full<Bytes>>;

/// The error is a sentence.
pub(crate) async fn open(
    address: &Address,
    tls: impl Fn() -> Result<Arc<ClientConfig>, String>,
) -> Result<Connection, String> {
    let opening = async {
        match address {
            Address::Http { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await;
                let stream = stream.map_err(|error| error.to_string())?;
                // Send each journal line at once, without waiting for the next.
                let _ = stream.set_nodelay(true);
                ready(stream).await
            }
            Address::Https { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await;
                let stream = stream.map_err(|error| error.to_string())?;
                let _ = stream.set_nodelay(true);
                ready(over(stream, host, tls()?).await?).await
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                ready(stream.map_err(|error| error.to_string())?).await
            }
        }
    };
    match tokio::time::timeout(CONNECT, opening).await {
        Ok(opened) => opened,
        Err(_) => Err(format!("no answer within {} seconds", CONNECT.as_secs())),
    }
}

async fn ready(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Connection, String> {
    let (connection, driver) = handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    // It ends when the connection is dropped or breaks; the next request notices that.
    tokio::spawn(driver);
    Ok(connection)
}
