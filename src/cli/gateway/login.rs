//! `opsbook login`: logs this user in at a gateway.

use std::fs::File;
use std::io::{Read as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use super::ssh::{Asked, by_signature};
use super::{client, logins, speak};
use crate::cli::error::Failure;
use crate::cli::{Streams, block_on};
use crate::client::{Address, Client, Fingerprint, Login, Token};
use crate::outside;
use crate::project::operator_name;
use crate::source::Problem;
use crate::wire::login::{CiLogin, DeviceLogin, DevicePoll, DevicePolled};
use crate::wire::{About, LoggedIn, LoginWay, Me, endpoint};

/// The most bytes of a token.
const LONGEST: u64 = 16 << 10;
/// How many seconds a person has to confirm.
const LONGEST_LOGIN: u64 = 3600;

/// Log in at a gateway, which becomes the default
///
/// On a socket (`unix:/path`) the system identifies you. Otherwise log in at the gateway's identity
/// provider, in any browser; or with a signature of your ssh key, from your agent or a file; or
/// with a token, from a file that only you can read.
#[derive(Args, Debug)]
pub(crate) struct LoginArgs {
    /// Its address: `https://HOST`, `http://HOST:PORT` or `unix:/path`
    #[arg(value_name = "ADDRESS")]
    address: Address,
    /// A file with the token, which only you can read
    #[arg(long, value_name = "FILE", group = "way")]
    token_file: Option<PathBuf>,
    /// A file with a token that a CI system has signed for this job; `-` is standard input
    #[arg(long, value_name = "FILE", group = "way")]
    ci_token: Option<PathBuf>,
    /// Sign with this ssh key: a file with the key, or with the public key of one that your agent
    /// has
    #[arg(long, value_name = "FILE", group = "way")]
    key: Option<PathBuf>,
    /// With an ssh key: your name in the gateway's list of signers [default: your login name]
    #[arg(long = "as", value_name = "PERSON")]
    person: Option<String>,
    /// With an ssh key: the name of the gateway, if it is not the host of the address
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    pin: Pin,
}

/// How to trust a gateway with its own certificate authority.
#[derive(Args, Debug)]
pub(crate) struct Pin {
    /// SHA-256 of the certificate of the gateway's own authority, as `opsbook-gateway` prints it at
    /// its start: trust only that certificate
    #[arg(long, value_name = "SHA256")]
    pub fingerprint: Option<Fingerprint>,
}

pub(crate) fn login(args: &LoginArgs, streams: &mut Streams) -> Result<u8, Failure> {
    let pin = args.pin.fingerprint;
    let nobody = client(args.address.clone(), None, pin)?;
    let found = match &args.address {
        Address::Unix(_) => None,
        _ => Some(found(args, &nobody, streams)?),
    };
    let proof = found.as_ref().map(|found| Token::new(found.token.as_str()));
    // Store the login only after it was accepted.
    let client = client(args.address.clone(), proof, pin)?;
    let me: Me = speak(&client, streams, false, async |client| {
        client.get(endpoint::ME).await
    })?;
    let login = Login {
        person: me.person.clone(),
        token: found
            .as_ref()
            .map_or_else(String::new, |found| found.token.clone()),
        until: found.map_or_else(String::new, |found| found.until),
        fingerprint: pin.map(|pin| pin.to_string()),
    };
    logins()?.add(&args.address.to_string(), login)?;
    writeln!(
        streams.people(),
        "{} at {}",
        outside::line(&me.person),
        args.address
    )?;
    Ok(0)
}

/// The proof of this user's identity.
fn found(args: &LoginArgs, client: &Client, streams: &mut Streams) -> Result<LoggedIn, Failure> {
    if let Some(path) = &args.token_file {
        return Ok(LoggedIn {
            person: String::new(),
            token: token(path)?.expose().to_owned(),
            until: String::new(),
        });
    }
    if let Some(path) = &args.ci_token {
        let path = if path == Path::new("-") {
            Path::new("/dev/stdin")
        } else {
            path
        };
        let token = token(path)?.expose().to_owned();
        return speak(client, streams, true, async |client| {
            client.post(endpoint::LOGIN_CI, &CiLogin { token }).await
        });
    }
    let about: About = speak(client, streams, true, async |client| {
        client.get(endpoint::ABOUT).await
    })?;
    let by_key = args.key.is_some() || args.person.is_some();
    if about.login.contains(&LoginWay::Oidc) && !by_key {
        return device(client, streams);
    }
    if about.login.contains(&LoginWay::Ssh) {
        let asked = Asked {
            key: args.key.as_deref(),
            person: args.person.clone().unwrap_or_else(operator_name),
            name: args.name.as_deref(),
        };
        return by_signature(&asked, client, streams);
    }
    let problem = Problem::bare(
        "login",
        format!(
            "{} accepts neither ssh keys nor logins of an identity provider",
            args.address
        ),
    );
    Err(Failure::from(problem.hint(
        "`opsbook-gateway login PERSON`, there, prints a token for `--token-file`",
    )))
}

/// A person confirms in any browser, perhaps on another machine.
fn device(client: &Client, streams: &mut Streams) -> Result<LoggedIn, Failure> {
    let begun: DeviceLogin = speak(client, streams, true, async |client| {
        client
            .post(endpoint::LOGIN_DEVICE, &serde_json::json!({}))
            .await
    })?;
    let whole = begun.whole_address.as_ref();
    writeln!(
        streams.talk,
        "open {}\nand confirm the code {}",
        outside::line(whole.unwrap_or(&begun.address)),
        outside::line(&begun.user_code)
    )?;
    let until = Instant::now() + Duration::from_secs(begun.seconds.min(LONGEST_LOGIN));
    let mut interval = Duration::from_secs(begun.interval.clamp(1, 60));
    let poll = DevicePoll {
        device_code: begun.device_code,
    };
    while Instant::now() < until {
        let polled: DevicePolled = block_on(async {
            tokio::time::sleep(interval).await;
            Ok(client.post(endpoint::LOGIN_DEVICE_POLL, &poll).await)
        })??;
        if let Some(login) = polled.login {
            return Ok(login);
        }
        interval += Duration::from_secs(polled.wait.unwrap_or_default().min(60));
    }
    Err(Failure::Stopped("nobody has confirmed the code".to_owned()))
}

/// The first line of a file that only this user can read.
pub(crate) fn token(path: &Path) -> Result<Token, Failure> {
    let cannot = |why: String| Failure::Error(format!("`{}`: {why}", path.display()));
    let file = File::open(path).map_err(|error| cannot(error.to_string()))?;
    let about = file.metadata().map_err(|error| cannot(error.to_string()))?;
    let ours = about.uid() == rustix::process::geteuid().as_raw();
    if about.is_file() && (!ours || about.mode() & 0o077 != 0) {
        return Err(cannot(
            "it belongs to another user, or others can read it (`chmod 600`)".to_owned(),
        ));
    }
    let mut text = String::new();
    let read = file.take(LONGEST).read_to_string(&mut text);
    read.map_err(|error| cannot(error.to_string()))?;
    match text.lines().next().map(str::trim) {
        Some(token) if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(Token::new(token))
        }
        _ => Err(cannot("its first line is not a token".to_owned())),
    }
}
