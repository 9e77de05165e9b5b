//! Commands that only look, with the words that would make them do more.

/// Commands that change nothing, whatever their arguments.
const LOOK: &str = "ls cat head wc stat file readlink realpath basename dirname df du free uptime \
    whoami id groups uname arch nproc lscpu lsblk lsusb lspci lsmod lsof ps pgrep pstree pidof ss \
    netstat w who last lastlog getent printenv tty locale echo printf true false test [ type which \
    whereis sleep seq uniq cut tr tac nl column fold paste comm diff cmp cksum md5sum sha1sum \
    sha224sum sha256sum sha384sum sha512sum strings od xxd hexdump jq grep egrep fgrep zgrep rg zcat \
    bzcat xzcat dig host nslookup vmstat iostat mpstat sar numactl lsattr getfacl getcap blkid \
    findmnt namei apt-cache dpkg-query rpmquery needrestart nvidia-smi sensors pwd cal";

/// Programs of which some first words only look.
const SUBCOMMANDS: &[(&str, &str)] = &[
    (
        "systemctl",
        "status is-active is-enabled is-failed is-system-running list-units list-unit-files list-timers list-sockets list-dependencies list-jobs show cat get-default",
    ),
    (
        "loginctl",
        "list-sessions list-users session-status user-status show-session show-user",
    ),
    ("timedatectl", "status show timesync-status list-timezones"),
    ("hostnamectl", "status"),
    ("resolvectl", "status query statistics"),
    (
        "docker",
        "ps images inspect logs version info top stats port diff history",
    ),
    (
        "podman",
        "ps images inspect logs version info top stats port diff history",
    ),
    ("docker-compose", "ps logs version top images"),
    ("crictl", "ps images info version pods inspect logs stats"),
    (
        "kubectl",
        "get describe logs top version explain api-resources api-versions cluster-info",
    ),
    ("oc", "get describe logs status version whoami explain"),
    ("helm", "list ls status history version search show"),
    (
        "git",
        "status log diff show rev-parse describe ls-files ls-remote blame shortlog",
    ),
    ("nginx", "-t -T -v -V"),
    ("apachectl", "configtest -t -S -v"),
    ("sshd", "-t -T"),
    ("visudo", "-c"),
    ("named-checkconf", "*"),
    (
        "dpkg",
        "-l -L -s -S --list --status --listfiles --search --print-architecture",
    ),
    ("apt", "list show policy search"),
    ("snap", "list info version"),
    ("etcdctl", "get endpoint version"),
    ("consul", "members info version"),
    ("vault", "status version"),
    ("nomad", "status version"),
    (
        "rabbitmqctl",
        "status cluster_status list_queues list_users list_vhosts list_connections",
    ),
    ("pg_lsclusters", "*"),
    ("pg_isready", "*"),
    ("chronyc", "tracking sources sourcestats activity"),
    ("ufw", "status version"),
    ("zpool", "list status"),
    ("zfs", "list"),
    ("aide", "--check"),
    ("terraform", "version show validate output"),
];

/// Whether the command, without what stands before it (`sudo`, `env`), only looks.
pub fn looks(words: &[&str]) -> bool {
    let Some((program, arguments)) = words.split_first() else {
        return true;
    };
    let program = program.rsplit('/').next().unwrap_or(program);
    let has = |wanted: &[&str]| arguments.iter().any(|word| wanted.contains(word));
    let begins = |wanted: &[&str]| {
        { arguments.iter() }.any(|word| wanted.iter().any(|wanted| word.starts_with(wanted)))
    };
    if LOOK.split_whitespace().any(|known| known == program) {
        return plainly(program, arguments);
    }
    match program {
        "tail" => !begins(&["-f", "-F", "--follow", "--retry"]) && !joined(arguments, 'f'),
        "date" => {
            !begins(&["-s", "--set"]) && arguments.iter().all(|word| word.starts_with(['+', '-']))
        }
        "hostname" | "domainname" => arguments
            .iter()
            .all(|word| word.starts_with('-') && !word.starts_with("-F")),
        "mount" | "env" | "set" | "export" | "alias" => arguments.is_empty(),
        "command" => begins(&["-v", "-V"]),
        "sort" => !begins(&["-o", "--output", "--compress-program"]) && !joined(arguments, 'o'),
        "sed" => sed(arguments),
        "awk" | "gawk" | "mawk" => awk(arguments),
        "find" => !begins(&["-delete", "-exec", "-ok", "-fls", "-fprint"]),
        "journalctl" => {
            !begins(&[
                "-f",
                "--follow",
                "--vacuum",
                "--rotate",
                "--flush",
                "--sync",
                "--relinquish",
                "--setup",
                "--update",
            ]) && !joined(arguments, 'f')
        }
        "dmesg" => !begins(&[
            "-c",
            "-C",
            "-D",
            "-E",
            "-n",
            "-w",
            "-W",
            "--clear",
            "--console",
            "--read-clear",
            "--follow",
        ]),
        "ping" | "ping6" => has(&["-c"]),
        "ip" => ip(arguments),
        "sysctl" => {
            !begins(&["-w", "--write", "-p", "--load", "--system"])
                && !arguments.iter().any(|word| word.contains('='))
                && !arguments.is_empty()
        }
        "curl" => curl(arguments),
        _ => looks_at_the_system(program, arguments),
    }
}

/// Tools of the machine and of its services.
fn looks_at_the_system(program: &str, arguments: &[&str]) -> bool {
    let has = |wanted: &[&str]| arguments.iter().any(|word| wanted.contains(word));
    let begins = |wanted: &[&str]| {
        { arguments.iter() }.any(|word| wanted.iter().any(|wanted| word.starts_with(wanted)))
    };
    match program {
        "openssl" => {
            ["version", "x509", "s_client", "verify", "ciphers"]
                .contains(arguments.first().unwrap_or(&""))
                && !begins(&[
                    "-out",
                    "-writerand",
                    "-sess_out",
                    "-keylogfile",
                    "-signkey",
                    "-CA",
                ])
        }
        "rpm" => { arguments.first() }
            .is_some_and(|first| first.starts_with("-q") || *first == "--query"),
        "iptables" | "ip6tables" => {
            has(&["-L", "-S", "--list", "--list-rules"])
                && !begins(&[
                    "-A", "-I", "-D", "-F", "-P", "-N", "-X", "-Z", "-R", "-E", "--append",
                    "--insert", "--delete", "--flush", "--policy", "--zero",
                ])
        }
        "nft" => arguments.first() == Some(&"list"),
        "haproxy" => has(&["-c"]) || has(&["-v"]) || has(&["-vv"]),
        "postconf" => {
            !begins(&["-e", "-X", "-M", "-P", "-F", "-#", "-b", "-B"]) || arguments.is_empty()
        }
        _ => subcommand(program, arguments),
    }
}

/// `uniq IN OUT` and `xxd -r IN OUT` write, and so does a tool that is told to.
fn plainly(program: &str, arguments: &[&str]) -> bool {
    let has = |wanted: &[&str]| arguments.iter().any(|word| wanted.contains(word));
    let begins = |wanted: &[&str]| {
        { arguments.iter() }.any(|word| wanted.iter().any(|wanted| word.starts_with(wanted)))
    };
    match program {
        "uniq" => {
            arguments
                .iter()
                .filter(|word| !word.starts_with('-'))
                .count()
                < 2
        }
        "xxd" => !begins(&["-r"]),
        "file" => !has(&["-C", "--compile"]),
        "ss" => !has(&["-K", "--kill"]),
        "lastlog" => !begins(&["-C", "-S", "--clear", "--set"]),
        "sensors" => !has(&["-s", "--set"]),
        "nvidia-smi" => arguments.is_empty() || has(&["-L", "-q"]),
        "needrestart" => has(&["-b"]) && !begins(&["-r"]),
        "rg" => !begins(&["--pre"]),
        "diff" => !begins(&["--output"]),
        _ => true,
    }
}

fn subcommand(program: &str, arguments: &[&str]) -> bool {
    let Some((_, known)) = SUBCOMMANDS.iter().find(|(name, _)| *name == program) else {
        // `anything --version` and `--help` alone only look.
        return matches!(arguments, ["--version" | "--help"]) && !program.contains('\u{fffd}');
    };
    if *known == "*" {
        return true;
    }
    // Options before the word may take values: only those that are known not to surprise.
    let mut rest = arguments;
    while let [first, behind @ ..] = rest {
        match *first {
            "-n" | "--namespace" | "--context" | "-f" | "--file" | "-C" | "--kubeconfig"
                if behind.len() > 1 =>
            {
                rest = &behind[1..];
            }
            "--user" | "--no-pager" | "-A" | "--no-legend" | "--all" => rest = behind,
            word if word.starts_with("--") && word.contains('=') && !word.contains("exec") => {
                rest = behind;
            }
            _ => break,
        }
    }
    let [first, behind @ ..] = rest else {
        return false;
    };
    let looks = known.split_whitespace().any(|word| word == *first);
    let follows = behind.iter().any(|word| {
        [
            "-f",
            "--follow",
            "-w",
            "--watch",
            "--watch-only",
            "--output-file",
        ]
        .contains(word)
            || word.starts_with("--follow")
            || word.starts_with("--watch")
            || word.starts_with("--output=")
            || word.starts_with("--output-dir")
    });
    looks && !follows
}

fn joined(arguments: &[&str], letter: char) -> bool {
    arguments
        .iter()
        .any(|word| word.starts_with('-') && !word.starts_with("--") && word.contains(letter))
}

fn sed(arguments: &[&str]) -> bool {
    let options = arguments.iter().filter(|word| word.starts_with('-'));
    let only = |word: &&str| {
        [
            "-n", "-e", "-E", "-r", "-s", "-z", "-u", "-ne", "-nE", "-nr", "--quiet",
        ]
        .contains(word)
    };
    let scripts = arguments.iter().filter(|word| !word.starts_with('-'));
    // `w FILE`, `e` and flags of `s` that do the same: any such letter where a command may stand.
    let plain = |word: &&str| {
        !word.contains(['w', 'W', 'e'])
            || word.starts_with('/') && word.ends_with('p') && !word.contains(['{', ';'])
    };
    let mut scripts = scripts;
    { options }.all(only) && scripts.next().is_some_and(plain)
}

fn awk(arguments: &[&str]) -> bool {
    let options = arguments.iter().filter(|word| word.starts_with('-'));
    let known = |word: &str| word.starts_with("-F") || word.starts_with("-v") || word == "--";
    let program = |word: &&str| {
        word.contains("system")
            || word.contains('>')
            || word.contains('|')
            || word.contains("getline")
            || word.contains("close")
    };
    { options }.all(|word| known(word)) && !arguments.iter().any(program)
}

fn ip(arguments: &[&str]) -> bool {
    let mut words = arguments.iter().filter(|word| !word.starts_with('-'));
    let Some(object) = words.next() else {
        return false;
    };
    if ["netns", "vrf", "monitor", "xfrm"].contains(object) {
        return false;
    }
    match words.next() {
        None => true,
        Some(verb) => ["show", "list", "ls", "s", "get"].contains(verb),
    }
}

fn curl(arguments: &[&str]) -> bool {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match *word {
            "-o" | "--output" => match words.next() {
                Some(&"/dev/null") => {}
                _ => return false,
            },
            "-X" | "--request" => match words.next() {
                Some(&("GET" | "HEAD")) => {}
                _ => return false,
            },
            // What takes a value that is no option.
            "-H" | "--header" | "-w" | "--write-out" | "-m" | "--max-time"
            | "--connect-timeout" | "--cacert" | "--resolve" | "-u" | "--user" | "-A"
            | "--retry" => {
                words.next();
            }
            "-s" | "-S" | "-f" | "-k" | "-i" | "-I" | "-L" | "-v" | "-g" | "-4" | "-6" | "-sS"
            | "-fsS" | "-fsSL" | "-sSL" | "-sL" | "-sf" | "-fs" | "-sk" | "-ks" | "-Ss" | "-si"
            | "-sI" | "-Lv" | "-vk" | "-kv" | "-sv" | "-iL" | "-IL" | "-G" | "--silent"
            | "--fail" | "--show-error" | "--insecure" | "--head" | "--include" | "--location"
            | "--verbose" | "--compressed" | "--http1.1" | "--http2" | "--get" => {}
            word if word.starts_with('-') => return false,
            _ => {}
        }
    }
    true
}

/// Commands that surely change something: with one of these first, a block is a step.
const CHANGE: &str = "rm mv cp mkdir rmdir touch ln chmod chown chgrp install dd truncate tee rsync scp \
    apt apt-get yum dnf zypper apk pacman pip pip3 npm gem cargo make useradd usermod userdel adduser \
    groupadd groupdel passwd chpasswd systemctl service update-rc.d chkconfig mount umount mkfs \
    mkfs.ext4 mkfs.xfs fdisk parted lvcreate lvextend vgcreate pvcreate resize2fs swapon swapoff \
    kill pkill killall reboot shutdown iptables ip6tables ufw firewall-cmd nft sysctl modprobe rmmod \
    docker podman docker-compose kubectl oc helm git tar unzip gzip gunzip wget curl sed patch \
    createdb dropdb createuser dropuser pg_dump pg_restore pg_basebackup pg_ctlcluster psql mysql \
    mysqldump mongodump mongorestore redis-cli etcdctl rabbitmqctl certbot openssl ssh-keygen \
    update-ca-certificates ldconfig crontab timedatectl hostnamectl localectl swapoff zfs zpool terraform \
    ansible-playbook cd export source . set umask rake bundle python python3 node java";

/// Whether the command is known to change something, or to prepare that.
pub fn changes(words: &[&str]) -> bool {
    let program = words
        .first()
        .map(|program| program.rsplit('/').next().unwrap_or(program));
    program.is_some_and(|program| CHANGE.split_whitespace().any(|known| known == program))
}

/// A program that wants a terminal and somebody at it.
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
        "psql" => !arguments.iter().any(|word| {
            word.starts_with("-c")
                || word.starts_with("-f")
                || *word == "-l"
                || word.contains("command")
                || word.contains('c') && word.starts_with('-') && !word.starts_with("--")
        }),
        "mysql" | "mongo" | "mongosh" | "redis-cli" | "sqlite3" => {
            arguments.is_empty() || has(&["-p"]) && !has(&["-e"])
        }
        "docker" | "podman" | "kubectl" | "oc" => {
            arguments
                .iter()
                .any(|word| ["-it", "-ti", "login", "attach"].contains(word))
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
        "sudo" => has(&["-i", "-s"]) && arguments.len() == 1,
        "bash" | "sh" | "zsh" | "python" | "python3" | "irb" | "node" => arguments.is_empty(),
        "aws" => has(&["configure"]),
        _ => has(&["login"]) && arguments.len() < 3,
    }
}

/// A program that goes on until somebody stops it.
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
        "docker" | "podman" => {
            has(&["logs"]) && has(&["-f", "--follow"]) || has(&["stats"]) && !has(&["--no-stream"])
        }
        "ping" => !has(&["-c"]),
        _ => false,
    }
}
