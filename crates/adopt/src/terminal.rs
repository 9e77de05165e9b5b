//! Programs that need a person at a terminal, and programs that do not end.

use crate::commands::joined;

/// Whether a program needs a terminal and a person.
pub fn needs_a_person(words: &[&str]) -> bool {
    let Some((program, arguments)) = words.split_first() else {
        return false;
    };
    let program = program.rsplit('/').next().unwrap_or(program);
    let has = |wanted: &[&str]| arguments.iter().any(|word| wanted.contains(word));
    match program {
        "vi" | "vim" | "nvim" | "nano" | "emacs" | "less" | "more" | "top" | "htop" | "man"
        | "visudo" | "vipw" | "screen" | "tmux" | "nix-shell" | "virt-viewer" | "telnet"
        | "sftp" | "ftp" => program != "visudo" || !has(&["-c"]),
        "psql" | "mysql" | "mariadb" | "mongo" | "mongosh" | "redis-cli" | "valkey-cli"
        | "sqlite3" => asks_for_queries(program, arguments),
        "gpg" | "gpg2" => arguments.iter().any(|word| {
            word.starts_with("--edit-")
                || word.starts_with("--card-edit")
                || word.starts_with("--full-gen")
                || *word == "--gen-key"
                || word.starts_with("--change-pin")
        }),
        "exit"
        | "logout"
        | "mysql_secure_installation"
        | "sudoedit"
        | "passwd"
        | "dpkg-reconfigure"
        | "cfdisk"
        | "virt-manager" => true,
        "fdisk" | "gdisk" | "parted" | "disklabel" => {
            arguments
                .iter()
                .filter(|word| !word.starts_with('-'))
                .count()
                == 1
                && !has(&["-l", "-s"])
        }
        "crontab" => has(&["-e"]),
        "systemctl" => has(&["edit"]) && !has(&["--stdin"]),
        "virsh" => has(&["console", "edit"]),
        "rails" | "gitlab-rails" => has(&["console", "c", "dbconsole"]),
        "docker" | "podman" | "kubectl" | "oc" => {
            arguments
                .iter()
                .any(|word| ["-it", "-ti", "login", "attach", "edit", "debug"].contains(word))
                || has(&["exec"]) && { arguments.last() }.is_some_and(|last| {
                    let last = last.rsplit('/').next().unwrap_or(last);
                    ["sh", "bash", "zsh", "ash"].contains(&last)
                })
                || has(&["-i"]) && has(&["-t"])
        }
        "ssh" => {
            arguments
                .iter()
                .filter(|word| !word.starts_with('-'))
                .count()
                == 1
        }
        "su" => !has(&["-c"]),
        "sudo" => {
            has(&["-i", "-s"]) && arguments.len() == 1
                || arguments == ["su"]
                || arguments == ["su", "-"]
        }
        "bash" | "sh" | "zsh" | "python" | "python3" | "irb" | "node" => arguments.is_empty(),
        "aws" => has(&["configure"]),
        _ => has(&["login"]) && arguments.len() < 3,
    }
}

/// A database client without a query.
fn asks_for_queries(program: &str, arguments: &[&str]) -> bool {
    let has = |wanted: &[&str]| arguments.iter().any(|word| wanted.contains(word));
    if program == "psql" {
        return !arguments.iter().any(|word| {
            word.starts_with("-V")
                || word.starts_with("--version")
                || word.starts_with("--list")
                || word.starts_with("-c")
                || word.starts_with("-f")
                || *word == "-l"
                || word.contains("command")
                || word.contains('c') && word.starts_with('-') && !word.starts_with("--")
        });
    }
    let addressed =
        |word: &&str| ["-h", "-p", "-u", "-U"].contains(word) || word.starts_with("--user");
    let only_addressed = arguments.first().is_none_or(addressed)
        && arguments
            .iter()
            .filter(|word| !word.starts_with('-'))
            .count()
            <= arguments.iter().filter(|word| addressed(word)).count();
    only_addressed && !has(&["-e", "--execute", "-x", "--eval"])
}

/// Whether a program runs until somebody stops it.
pub fn never_ends(words: &[&str]) -> bool {
    let Some((program, arguments)) = words.split_first() else {
        return false;
    };
    let has = |wanted: &[&str]| arguments.iter().any(|word| wanted.contains(word));
    match *program {
        "watch" | "tcpdump" => !has(&["-c"]),
        "tail" | "journalctl" => has(&["-f", "-F", "--follow"]) || joined(arguments, 'f'),
        "kubectl" | "oc" => {
            has(&["port-forward", "proxy", "-f", "-w", "--watch", "--follow"])
                && !has(&["apply", "create", "delete", "replace"])
        }
        "docker" | "podman" | "docker-compose" => {
            let detached = arguments.iter().any(|word| {
                ["--detach", "--detach=true"].contains(word)
                    || word.starts_with('-')
                        && !word.starts_with("--")
                        && word.contains('d')
                        && word.len() < 4
            });
            let published = arguments
                .iter()
                .any(|word| *word == "-p" || word.starts_with("--publish"));
            has(&["logs"]) && has(&["-f", "--follow"])
                || has(&["stats"]) && !has(&["--no-stream"])
                || has(&["run"]) && published && !detached && !has(&["-it", "-ti"])
                || has(&["up"])
                    && (has(&["compose"]) || *program == "docker-compose")
                    && !detached
                    && !has(&["--wait"])
        }
        "ping" => !has(&["-c"]),
        "nc" | "ncat" | "netcat" => arguments.iter().any(|word| word.starts_with("-l")),
        "npm" | "yarn" | "pnpm" => has(&["start", "dev", "serve"]),
        "python" | "python3" if has(&["http.server"]) => true,
        _ => serves(program.rsplit('/').next().unwrap_or(program), arguments),
    }
}

/// A server in the foreground.
fn serves(program: &str, arguments: &[&str]) -> bool {
    const SERVERS: &str = "etcd prometheus alertmanager grafana-server nats-server redis-server \
        valkey-server minio consul-template mongod node_exporter pushgateway memcached dockerd";
    let ends = arguments.iter().any(|word| {
        [
            "--version",
            "--help",
            "-v",
            "-h",
            "-V",
            "-t",
            "--daemonize",
            "-d",
            "--signal",
            "-sl",
        ]
        .contains(word)
    });
    let known =
        SERVERS.split_whitespace().any(|known| known == program) || program.ends_with("_exporter");
    let first = arguments.first().copied().unwrap_or_default();
    let plain = |next: Option<&&str>| {
        next.is_none_or(|next| next.starts_with('-') || next.contains([':', '/', '.']))
    };
    let told = ["serve", "server", "start-server"].contains(&first) && plain(arguments.get(1))
        || arguments
            .iter()
            .take(2)
            .any(|word| word.starts_with("runserver") || word.ends_with("worker"));
    (known || told) && !ends
}
