//! `opsbook-gateway`: the program.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use opsbook_gateway::config::Config;
use opsbook_gateway::gateway::Tell;
use opsbook_gateway::serve::{RunnerHere, Start, locked, start};
use opsbook_gateway::store::migrate::copy;
use opsbook_gateway::store::{Store, written};
use opsbook_project::find_root;
use opsbook_wire::limit;
use tokio::signal::unix::{SignalKind, signal};

/// Serve the book of a manual as a console, and assign its runs to runners
#[derive(Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum What {
    /// Serve (the default without a command)
    Serve(Serve),
    /// Print a link that logs a browser in once
    Link {
        #[command(flatten)]
        at: At,
        /// The person to log in; you if absent
        #[arg(value_name = "PERSON")]
        person: Option<String>,
    },
    /// Print a token for a person's programs: `opsbook login URL --token-file FILE`
    Login {
        #[command(flatten)]
        at: At,
        /// The person to log in
        #[arg(value_name = "PERSON")]
        person: String,
        /// The validity in days
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..=400))]
        days: i64,
    },
    /// End all logins of a person: browsers, programs, and links that were not used
    Logout {
        #[command(flatten)]
        at: At,
        /// The person
        #[arg(value_name = "PERSON")]
        person: String,
    },
    /// Copy the whole store into an empty one, while no gateway serves
    Migrate {
        #[command(flatten)]
        at: At,
        /// The new store: `postgres://…` or `sqlite:///path`; name it in the configuration
        /// afterwards
        #[arg(value_name = "URL")]
        to: String,
    },
    /// Copy the store (SQLite) into a new file, even while a gateway serves
    Backup {
        #[command(flatten)]
        at: At,
        /// The new file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// List the runners: their ids and versions, when they last sent a message, and their
    /// credentials
    Runners {
        #[command(flatten)]
        at: At,
    },
    /// Revoke all credentials of a runner: its parts are offered to others
    Revoke {
        #[command(flatten)]
        at: At,
        /// Its id, as `opsbook-gateway runners` prints it
        #[arg(value_name = "RUNNER")]
        runner: String,
    },
    /// Print a token with which one runner enrolls in a segment
    Token {
        #[command(flatten)]
        at: At,
        /// The segment
        #[arg(value_name = "SEGMENT")]
        segment: String,
    },
}

#[derive(Args)]
struct At {
    /// The manual's folder; the nearest parent with a `book.toml` if absent
    #[arg(short = 'C', long = "dir", value_name = "DIR", env = "OPSBOOK_DIR")]
    dir: Option<PathBuf>,
    /// The state folder; `.opsbook/gateway` in the manual's folder if absent
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The configuration; `gateway.toml` in the state folder if absent
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Args)]
struct Serve {
    #[command(flatten)]
    at: At,
    /// The address in addition to the socket in the state folder [default: 127.0.0.1:7373]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<std::net::SocketAddr>,
    /// Start no runner: other runners execute the runs of this machine
    #[arg(long)]
    no_runner: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = runtime
        .map_err(|error| error.to_string())
        .and_then(|runtime| {
            runtime.block_on(async {
                match cli.what.unwrap_or(What::Serve(cli.serve)) {
                    What::Serve(serve) => serving(serve).await,
                    What::Link { at, person } => link(&at, person).await,
                    What::Token { at, segment } => token(&at, &segment).await,
                    What::Login { at, person, days } => login(&at, &person, days).await,
                    What::Logout { at, person } => logout(&at, &person).await,
                    What::Migrate { at, to } => migrate(&at, &to).await,
                    What::Backup { at, file } => backup(&at, &file).await,
                    What::Runners { at } => runners(&at).await,
                    What::Revoke { at, runner } => revoke(&at, &runner).await,
                }
            })
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tell(&why);
            ExitCode::from(2)
        }
    }
}

/// Reports a message to the administrator.
fn tell(text: &str) {
    // If the stream is closed, nobody can read the message.
    let _ = writeln!(std::io::stderr(), "opsbook-gateway: {text}");
}

fn say(text: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| error.to_string())
}

struct Places {
    root: PathBuf,
    state: PathBuf,
    config: Config,
}

fn places(at: &At) -> Result<Places, String> {
    let here = std::env::current_dir().map_err(|error| error.to_string())?;
    let root = find_root(&here, at.dir.as_deref()).map_err(|problem| problem.to_string());
    let state = at.state.clone().map(|state| here.join(state));
    let state = match (state, &root) {
        (Some(state), _) => state,
        (None, Ok(root)) => root.join(".opsbook/gateway"),
        (None, Err(why)) => return Err(why.clone()),
    };
    let named = at.config.is_some();
    let config = at
        .config
        .clone()
        .unwrap_or_else(|| state.join("gateway.toml"));
    let config = Config::read(&config, named).map_err(|error| error.to_string())?;
    let root = match root {
        Ok(root) => root,
        // It serves the configured manuals, from any folder.
        Err(_) if !config.manuals.is_empty() => here,
        Err(why) => return Err(why),
    };
    Ok(Places {
        root,
        state,
        config,
    })
}

async fn serving(serve: Serve) -> Result<(), String> {
    let Places {
        root,
        state,
        mut config,
    } = places(&serve.at)?;
    if let Some(address) = serve.listen {
        config.listen.address = address;
        config
            .checked()
            .map_err(|why| format!("`--listen`: {why}"))?;
    }
    let runner = if serve.no_runner {
        RunnerHere::Others
    } else {
        RunnerHere::Supervised { program: opsbook() }
    };
    let (mut ended, mut interrupted) = (
        signal(SignalKind::terminate()).map_err(|error| error.to_string())?,
        signal(SignalKind::interrupt()).map_err(|error| error.to_string())?,
    );
    let tell: Tell = Arc::new(tell);
    let begin = Start {
        root,
        state: Some(state),
        config,
        runner,
    };
    let mut running = start(begin, tell)
        .await
        .map_err(|error| error.to_string())?;
    let link = running.link().await.map_err(|error| error.to_string())?;
    say(&format!(
        "{} serves `{}` on {}\nto log in, open this address within 15 minutes (it works once): {}",
        running.gateway.name,
        running.gateway.manuals.names(),
        running.local.url,
        link.url
    ))?;
    if let Some(fingerprint) = &running.fingerprint {
        say(&format!(
            "its own authority signs its certificate; `--fingerprint` for `opsbook login` and \
             `runner enroll`: {fingerprint}"
        ))?;
    }
    tokio::select! {
        _ = ended.recv() => {}
        _ = interrupted.recv() => {}
        () = running.failed() => return Err("stopped serving".to_owned()),
    }
    running.stop().await;
    Ok(())
}

/// The program next to this one, or the one in PATH.
fn opsbook() -> PathBuf {
    let beside = std::env::current_exe().ok();
    let beside = beside
        .as_deref()
        .and_then(Path::parent)
        .map(|folder| folder.join("opsbook"));
    beside
        .filter(|program| program.is_file())
        .unwrap_or_else(|| PathBuf::from("opsbook"))
}

async fn store(places: &Places) -> Result<Store, String> {
    let opened = if let Some(url) = &places.config.store.url {
        Store::open(url).await
    } else {
        let path = places.state.join("gateway.db");
        if !path.exists() {
            return Err(format!(
                "there is no gateway in `{}`",
                places.state.display()
            ));
        }
        Store::open_file(&path).await
    };
    opened.map_err(|error| error.to_string())
}

async fn link(at: &At, person: Option<String>) -> Result<(), String> {
    let places = places(at)?;
    let text = std::fs::read_to_string(places.state.join("address.json"))
        .map_err(|_| "no gateway serves this manual now".to_owned())?;
    let local: opsbook_wire::Local =
        serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let person = person.unwrap_or_else(opsbook_project::operator_name);
    if !limit::is_name(&person) {
        return Err("the person is not a valid name".to_owned());
    }
    let (key, _) = store(&places)
        .await?
        .new_ticket("link", &person, 15 * 60)
        .await
        .map_err(|error| error.to_string())?;
    say(&format!("{}/login?key={key}", local.url))
}

async fn token(at: &At, segment: &str) -> Result<(), String> {
    if !limit::is_name(segment) {
        return Err("the segment is not a valid name".to_owned());
    }
    let places = places(at)?;
    let (token, _) = store(&places)
        .await?
        .new_ticket("enroll", segment, 15 * 60)
        .await
        .map_err(|error| error.to_string())?;
    say(&token)
}

async fn runners(at: &At) -> Result<(), String> {
    let places = places(at)?;
    let rule = places.config.rule()?;
    let store = store(&places).await?;
    let known = store.runners().await.map_err(|error| error.to_string())?;
    for known in known {
        let seen = match known.seen {
            0 => "never seen".to_owned(),
            seen => format!("last seen at {}", written(seen)),
        };
        let proof = match known.until {
            Some(until) => format!("a certificate until {}", written(until)),
            None if known.secret => "a secret".to_owned(),
            None => "none (it uses the socket, or was revoked)".to_owned(),
        };
        let version = match known.version.as_str() {
            "" => String::new(),
            version => format!("opsbook {}, ", opsbook_text::outside::line(version)),
        };
        let old = rule.is_too_old(&known.version).then(|| {
            let oldest = &rule.oldest;
            format!("; too old, gets nothing new: {oldest} and newer are served")
        });
        let old = old.unwrap_or_default();
        say(&format!(
            "{}: {version}{seen}; credential: {proof}{old}",
            known.runner.id
        ))?;
    }
    Ok(())
}

async fn revoke(at: &At, runner: &str) -> Result<(), String> {
    let store = store(&places(at)?).await?;
    let known = store.revoke(runner).await;
    if known.map_err(|error| error.to_string())? {
        return Ok(());
    }
    Err(format!(
        "there is no runner `{runner}`: `opsbook-gateway runners` prints them"
    ))
}

async fn logout(at: &At, person: &str) -> Result<(), String> {
    let store = store(&places(at)?).await?;
    let ended = store.log_out_person(person).await;
    let ended = ended.map_err(|error| error.to_string())?;
    say(&format!("logins that were ended: {ended}"))
}

async fn migrate(at: &At, to: &str) -> Result<(), String> {
    let places = places(at)?;
    let _alone = locked(&places.state).map_err(|error| error.to_string())?;
    let from = store(&places).await?;
    let new = Store::open(to).await.map_err(|error| error.to_string())?;
    let counts = copy(&from, &new).await.map_err(|error| error.to_string())?;
    for (table, rows) in counts.iter().filter(|(_, rows)| **rows > 0) {
        say(&format!("{table}: {rows}"))?;
    }
    say(&format!(
        "now set `[store] url = \"{to}\"` in `gateway.toml`"
    ))
}

async fn backup(at: &At, file: &Path) -> Result<(), String> {
    let store = store(&places(at)?).await?;
    let copied = store.backup(file).await;
    copied.map_err(|error| format!("`{}`: {error}", file.display()))
}

async fn login(at: &At, person: &str, days: i64) -> Result<(), String> {
    if !limit::is_name(person) {
        return Err("the person is not a valid name".to_owned());
    }
    let places = places(at)?;
    let (token, _) = store(&places)
        .await?
        .new_login(person, "token", days * 24 * 3600)
        .await
        .map_err(|error| error.to_string())?;
    say(&token)
}
