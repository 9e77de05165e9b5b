//! Commands for a gateway, and the choice of the gateway.

pub(crate) mod access;
pub(crate) mod answer;
pub(crate) mod applications;
pub(crate) mod approve;
pub(crate) mod ask;
pub(crate) mod login;
pub(crate) mod order;
pub(crate) mod record;
pub(crate) mod runs;
pub(crate) mod sealed;
mod ssh;
pub(crate) mod sync;
pub(crate) mod watch;
mod wish;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::context::{Chosen, find_root};
use crate::cli::error::Failure;
use crate::cli::{Streams, block_on};
use crate::client::{
    Address, Client, ClientError, Fingerprint, FingerprintError, Logins, Tls, Token, Trust,
    told_today,
};
use crate::project::state_of_folder;
use crate::source::Problem;
use crate::wire::login::Local;
use crate::wire::version::Installed;

/// The gateway to use.
#[derive(Args, Debug, Default)]
pub(crate) struct At {
    /// The gateway, `https://HOST`, `http://HOST:PORT` or `unix:/path`; if absent, the one that
    /// runs for this manual, or the one of your last login
    #[arg(
        long = "gateway",
        value_name = "ADDRESS",
        env = "OPSBOOK_GATEWAY",
        hide_env_values = true
    )]
    address: Option<Address>,
}

impl At {
    /// A client for the gateway, with this user's login.
    pub fn client(&self, dir: &Chosen) -> Result<Client, Failure> {
        let logins = logins()?;
        let address = match &self.address {
            Some(address) => address.clone(),
            None => beside(dir).map_or_else(|| last(&logins), Ok)?,
        };
        let login = match &address {
            // The socket itself identifies the caller.
            Address::Unix(_) => None,
            Address::Http { .. } | Address::Https { .. } => logins.at(&address.to_string())?,
        };
        let Some(login) = login else {
            return client(address, None, None);
        };
        let pin = login.fingerprint.as_deref().map(str::parse).transpose();
        let pin = pin.map_err(|error: FingerprintError| Failure::Error(error.to_string()))?;
        let token = Some(login.token).filter(|token| !token.is_empty());
        client(address, token.map(Token::new), pin)
    }
}

/// A client of this program. A token is never sent unencrypted over a network. `pin` is the
/// fingerprint of the gateway's certificate, if this machine does not trust it.
pub(crate) fn client(
    address: Address,
    token: Option<Token>,
    pin: Option<Fingerprint>,
) -> Result<Client, Failure> {
    if matches!(address, Address::Http { .. }) && !address.is_local() {
        let message = format!("the connection to {address} is not encrypted");
        let problem = Problem::bare("in-the-clear", message);
        return Err(Failure::from(problem.hint(
            "use `https://`, or a tunnel to an address of this machine (`ssh -L`)",
        )));
    }
    let version = env!("CARGO_PKG_VERSION");
    let client = Client::new(address, token, version, installed());
    if let Some(pin) = pin {
        client.set_tls(Tls {
            trust: Trust::Fingerprint(pin),
            identity: None,
        });
    }
    Ok(client)
}

/// The logins of this user.
pub(crate) fn logins() -> Result<Logins, Failure> {
    Ok(Logins::in_folder(state_folder()?))
}

/// The state folder of this user.
pub(crate) fn state_folder() -> Result<PathBuf, Failure> {
    let named = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let named = named.filter(|folder| folder.is_absolute());
    let home = || std::env::home_dir().map(|home| home.join(".local/state"));
    match named.or_else(home) {
        Some(folder) => Ok(folder.join("opsbook")),
        None => Err(Failure::Error(
            "neither XDG_STATE_HOME nor HOME is set: opsbook keeps logins there".to_owned(),
        )),
    }
}

/// The gateway for this manual on this machine.
fn beside(dir: &Chosen) -> Option<Address> {
    let root = find_root(dir).ok()?;
    let path = state_of_folder(&root).folder().join("gateway/address.json");
    let local: Local = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    Some(Address::Unix(local.socket.into()))
}

fn last(logins: &Logins) -> Result<Address, Failure> {
    let Some(last) = logins.last()? else {
        return Err(Failure::Error(
            "no gateway runs beside this manual, and you are logged in nowhere\n\nhint: `opsbook login ADDRESS`, or `--gateway ADDRESS`".to_owned(),
        ));
    };
    last.parse()
        .map_err(|error| Failure::Error(format!("{error}")))
}

/// How this program was installed: the gateway knows the command that upgrades it.
fn installed() -> Installed {
    let Ok(program) = std::env::current_exe() else {
        return Installed::Archive;
    };
    if program.starts_with("/usr/bin") && Path::new("/var/lib/dpkg/info/opsbook.list").exists() {
        Installed::Deb
    } else if program
        .components()
        .any(|part| part.as_os_str() == ".cargo")
    {
        Installed::Cargo
    } else {
        Installed::Archive
    }
}

/// Talks to a gateway. Reports once a day that it wants a newer version of this program, but not if
/// a program reads the results.
pub(crate) fn speak<T>(
    client: &Client,
    streams: &mut Streams,
    machine: bool,
    what: impl AsyncFnOnce(&Client) -> Result<T, ClientError>,
) -> Result<T, Failure> {
    let answer = block_on(async { Ok(what(client).await) })?;
    if !machine {
        tell_older(client, &mut *streams.talk)?;
    }
    Ok(answer?)
}

fn tell_older(client: &Client, talk: &mut dyn Write) -> Result<(), Failure> {
    let Some(older) = client.older() else {
        return Ok(());
    };
    if told_today(&state_folder()?, "older") {
        return Ok(());
    }
    let own = env!("CARGO_PKG_VERSION");
    let how = older
        .upgrade
        .map_or_else(String::new, |upgrade| format!(": {upgrade}"));
    writeln!(
        talk,
        "opsbook {} is required by {} (this is {own}){how}",
        older.wants,
        client.address()
    )?;
    Ok(())
}
