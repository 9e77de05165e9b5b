//! `opsbook login`: who this user is at a gateway.

use std::fs::File;
use std::io::{Read as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{client, logins, speak};
use crate::cli::Streams;
use crate::cli::error::Failure;
use crate::client::{Address, Fingerprint, Login, Token};
use crate::wire::{Me, endpoint};

/// Bytes of a token.
const LONGEST: u64 = 4096;

/// Log in at a gateway, which is the one that is meant from now on
///
/// On a socket (`unix:/path`) the system says who you are. Elsewhere a token does,
/// from a file that only you can read.
#[derive(Args, Debug)]
pub(crate) struct LoginArgs {
    /// Where it listens: `https://HOST`, `http://HOST:PORT` or `unix:/path`
    #[arg(value_name = "ADDRESS")]
    address: Address,
    /// A file with the token, which only you can read
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    pin: Pin,
}

/// By what a gateway with an authority of its own is believed.
#[derive(Args, Debug)]
pub(crate) struct Pin {
    /// SHA-256 of the certificate of the gateway's own authority, as `opsbook-gateway` prints it at
    /// its start: that one is believed, and nobody else
    #[arg(long, value_name = "SHA256")]
    pub fingerprint: Option<Fingerprint>,
}

pub(crate) fn login(args: &LoginArgs, streams: &mut Streams) -> Result<u8, Failure> {
    let token = args.token_file.as_deref().map(token).transpose()?;
    let pin = args.pin.fingerprint;
    let client = client(args.address.clone(), token.clone(), pin)?;
    let me: Me = speak(&client, streams, false, async |client| {
        client.get(endpoint::ME).await
    })?;
    let login = Login {
        person: me.person.clone(),
        token: token.map_or_else(String::new, |token| token.expose().to_owned()),
        until: String::new(),
        fingerprint: pin.map(|pin| pin.to_string()),
    };
    logins()?.add(&args.address.to_string(), login)?;
    writeln!(streams.people(), "{} at {}", me.person, args.address)?;
    Ok(0)
}

/// The first line of a file that only this user can read.
pub(crate) fn token(path: &Path) -> Result<Token, Failure> {
    let cannot = |why: String| Failure::Error(format!("`{}`: {why}", path.display()));
    let file = File::open(path).map_err(|error| cannot(error.to_string()))?;
    let about = file.metadata().map_err(|error| cannot(error.to_string()))?;
    let ours = about.uid() == rustix::process::geteuid().as_raw();
    if about.is_file() && (!ours || about.mode() & 0o077 != 0) {
        return Err(cannot(
            "others can read it, or it is theirs (chmod 600)".to_owned(),
        ));
    }
    let mut text = String::new();
    let read = file.take(LONGEST).read_to_string(&mut text);
    read.map_err(|error| cannot(error.to_string()))?;
    match text.lines().next().map(str::trim) {
        Some(token) if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(Token::new(token))
        }
        _ => Err(cannot("its first line is no token".to_owned())),
    }
}
