//! Commands that only read, and the arguments that make them do more.

/// Commands that change nothing, whatever their arguments.
const LOOK: &str = "ls cat head wc stat file readlink realpath basename dirname df du free uptime \
    whoami id groups uname arch nproc lscpu lsblk lsusb lspci lsmod lsof ps pgrep pstree pidof ss \
    netstat w who last lastlog getent printenv tty locale echo printf true false test [ type which \
    whereis sleep seq uniq cut tr tac nl column fold paste comm diff cmp cksum md5sum sha1sum \
    sha224sum sha256sum sha384sum sha512sum strings od xxd hexdump jq grep egrep fgrep zgrep rg zcat \
    bzcat xzcat dig host nslookup vmstat iostat mpstat sar numactl lsattr getfacl getcap blkid \
    findmnt namei dpkg-query rpmquery needrestart nvidia-smi sensors pwd cal \
    pvs vgs lvs lsns lsmem lsipc lslogins lslocks lsscsi klist getenforce sestatus aa-status \
    pwgen uuidgen : tree";

/// Programs whose listed subcommands only read.
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
        "docker container",
        "ls list ps inspect logs top stats port diff",
    ),
    ("docker image", "ls list inspect history"),
    ("docker network", "ls list inspect"),
    ("docker volume", "ls list inspect"),
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
    (
        "apt-cache",
        "policy show showpkg showsrc search depends rdepends madison pkgnames stats",
    ),
    ("snap", "list info version"),
    ("etcdctl", "get endpoint version"),
    (
        "virsh",
        "list dominfo domstate domblklist domiflist dumpxml net-list pool-list capabilities nodeinfo version",
    ),
    ("apt-mark", "showhold showmanual showauto"),
    ("multipath", "-ll -l"),
    ("mdadm", "--detail -D --examine -E"),
    ("promtool", "check"),
    ("patronictl", "list"),
    ("pgbackrest", "info version"),
    ("consul", "members info version"),
    ("vault", "status version"),
    ("nomad", "status version"),
    (
        "rabbitmqctl",
        "status cluster_status list_queues list_users list_vhosts list_connections",
    ),
    ("psql", "-V --version"),
    ("pg_lsclusters", "*"),
    ("pg_isready", "*"),
    ("chronyc", "tracking sources sourcestats activity"),
    ("ufw", "status version"),
    ("zpool", "list status"),
    ("zfs", "list"),
    ("terraform", "version show validate output"),
];

/// The name of a program if it is in a system folder: `./ls` is a custom program.
pub fn tool(word: &str) -> Option<&str> {
    let Some((folder, name)) = word.rsplit_once('/') else {
        return Some(word);
    };
    [
        "/bin",
        "/sbin",
        "/usr/bin",
        "/usr/sbin",
        "/usr/local/bin",
        "/usr/local/sbin",
        "/snap/bin",
    ]
    .contains(&folder)
    .then_some(name)
}

/// Whether the command, without wrappers (`sudo`, `env`), only reads.
pub fn looks(words: &[&str]) -> bool {
    let Some((program, arguments)) = words.split_first() else {
        return true;
    };
    let Some(program) = tool(program) else {
        return false;
    };
    let has = |wanted: &[&str]| arguments.iter().any(|word| wanted.contains(word));
    // `${x@P}` executes code in `x`.
    if arguments.iter().any(|word| word.contains("@P")) {
        return false;
    }
    let begins = |wanted: &[&str]| {
        { arguments.iter() }.any(|word| wanted.iter().any(|wanted| word.starts_with(wanted)))
    };
    if LOOK.split_whitespace().any(|known| known == program) {
        return plainly(program, arguments);
    }
    match program {
        "tail" => !begins(&["-f", "-F", "--follow", "--retry"]) && !joined(arguments, 'f'),
        "date" => {
            let plain = |word: &&str| {
                word.starts_with('+')
                    || word.starts_with("-I")
                    || word.starts_with('-') && !word.contains('s')
            };
            !begins(&["--set"]) && arguments.iter().all(plain)
        }
        "hostname" | "domainname" => arguments.iter().all(|word| {
            [
                "-f",
                "-s",
                "-i",
                "-I",
                "-d",
                "-A",
                "--fqdn",
                "--short",
                "--ip-address",
                "--domain",
            ]
            .contains(word)
        }),
        "mount" | "env" | "set" | "export" | "alias" => arguments.is_empty(),
        "command" => matches!(arguments.first(), Some(&("-v" | "-V"))),
        "sort" => !begins(&["-o", "--output", "--compress-program"]) && !joined(arguments, 'o'),
        "sed" => sed(arguments),
        "awk" | "gawk" | "mawk" => awk(arguments),
        "find" => !begins(&["-delete", "-exec", "-ok", "-fls", "-fprint"]),
        "journalctl" | "dmesg" => reads_a_log(program, arguments),
        "ping" | "ping6" => has(&["-c"]),
        "ip" => ip(arguments),
        "sysctl" => {
            !begins(&["-w", "--write", "-p", "--load", "--system"])
                && !['p', 'f', 'w']
                    .iter()
                    .any(|letter| joined(arguments, *letter))
                && !arguments.iter().any(|word| word.contains('='))
                && !arguments.is_empty()
        }
        "curl" => curl(arguments),
        "docker" | "podman" if arguments.first() == Some(&"compose") => {
            subcommand("docker-compose", &arguments[1..])
        }
        "docker" | "podman"
            if arguments.len() > 1
                && ["container", "image", "network", "volume"].contains(&arguments[0]) =>
        {
            subcommand(&format!("docker {}", arguments[0]), &arguments[1..])
        }
        _ => looks_at_the_system(program, arguments),
    }
}

fn reads_a_log(program: &str, arguments: &[&str]) -> bool {
    let begins = |wanted: &[&str]| {
        { arguments.iter() }.any(|word| wanted.iter().any(|wanted| word.starts_with(wanted)))
    };
    match program {
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
                "--cursor-file",
            ]) && !joined(arguments, 'f')
        }
        "dmesg" => {
            !begins(&[
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
            ]) && !['c', 'C', 'D', 'E', 'n', 'w', 'W']
                .iter()
                .any(|letter| joined(arguments, *letter))
        }
        _ => false,
    }
}

/// Tools that show the system and its services.
fn looks_at_the_system(program: &str, arguments: &[&str]) -> bool {
    let has = |wanted: &[&str]| arguments.iter().any(|word| wanted.contains(word));
    let begins = |wanted: &[&str]| {
        { arguments.iter() }.any(|word| wanted.iter().any(|wanted| word.starts_with(wanted)))
    };
    match program {
        "openssl" => {
            ["version", "x509", "s_client", "verify", "ciphers", "rand"]
                .contains(arguments.first().unwrap_or(&""))
                && !begins(&[
                    "-out",
                    "-writerand",
                    "-sess_out",
                    "-keylogfile",
                    "-signkey",
                    "-CA",
                    "-msgfile",
                    "-engine",
                    "-provider",
                ])
        }
        "rpm" => {
            let runs = [
                "--pipe", "--eval", "-E", "--define", "-D", "--macros", "--rcfile", "--load",
                "--initdb", "--dbpath",
            ];
            { arguments.first() }
                .is_some_and(|first| first.starts_with("-q") || *first == "--query")
                && !begins(&runs)
                && !arguments.iter().any(|word| word.contains("%("))
        }
        "iptables" | "ip6tables" => {
            has(&["-L", "-S", "--list", "--list-rules"])
                && !begins(&[
                    "-A", "-I", "-D", "-F", "-P", "-N", "-X", "-Z", "-R", "-E", "--append",
                    "--insert", "--delete", "--flush", "--policy", "--zero",
                ])
        }
        "nft" => arguments.first() == Some(&"list") && !begins(&["-f", "--file"]),
        "haproxy" => has(&["-c"]) || has(&["-v"]) || has(&["-vv"]),
        "redis-cli" | "valkey-cli" => {
            let plain = arguments.iter().all(|word| !word.starts_with('-'));
            let first = arguments.first().map(|word| word.to_ascii_uppercase());
            plain
                && matches!(
                    first.as_deref(),
                    Some("PING" | "INFO" | "DBSIZE" | "LASTSAVE")
                )
        }
        "postconf" => {
            !begins(&["-e", "-X", "-M", "-P", "-F", "-#", "-b", "-B"]) || arguments.is_empty()
        }
        _ => subcommand(program, arguments),
    }
}

/// Excludes `uniq IN OUT` and `xxd -r IN OUT`, which write, and options for writing.
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
        "xxd" => {
            let files = arguments.iter().filter(|word| {
                !word.starts_with('-') && !word.chars().all(|letter| letter.is_ascii_digit())
            });
            !joined(arguments, 'r') && files.count() < 2
        }
        "test" | "[" | "printf" => !has(&["-v"]),
        "blkid" => !joined(arguments, 'g'),
        "file" => !joined(arguments, 'C') && !has(&["--compile"]),
        "ss" => !joined(arguments, 'K') && !has(&["--kill"]),
        "lastlog" => !begins(&["-C", "-S", "--clear", "--set"]),
        "sensors" => !has(&["-s", "--set"]),
        "nvidia-smi" => arguments.is_empty() || has(&["-L", "-q"]),
        "needrestart" => has(&["-b"]) && !begins(&["-r"]),
        "rg" => !begins(&["--pre", "--hostname-bin"]),
        "tree" => !joined(arguments, 'o') && !joined(arguments, 'R'),
        "diff" => !begins(&["--output"]),
        _ => true,
    }
}

/// Options before the subcommand that only name a place.
const HARMLESS: [&str; 16] = [
    "--namespace",
    "--context",
    "--kubeconfig",
    "--cluster",
    "--host",
    "--endpoints",
    "--cacert",
    "--cert",
    "--key",
    "--project-name",
    "--file",
    "--address",
    "--user",
    "--kube-context",
    "--type",
    "--state",
];

fn subcommand(program: &str, arguments: &[&str]) -> bool {
    let Some((_, known)) = SUBCOMMANDS.iter().find(|(name, _)| *name == program) else {
        return only_asks_for_itself(program, arguments);
    };
    if only_asks_for_itself(program, arguments) {
        return true;
    }
    if *known == "*" {
        return true;
    }
    // Options before the subcommand may take values: accept only known harmless ones.
    let mut rest = arguments;
    while let [first, behind @ ..] = rest {
        match *first {
            "-n" | "--namespace" | "--context" | "-f" | "--file" | "-C" | "--kubeconfig"
                if behind.len() > 1 =>
            {
                rest = &behind[1..];
            }
            "--user" | "--no-pager" | "-A" | "--no-legend" | "--all" => rest = behind,
            word if word
                .split_once('=')
                .is_some_and(|(name, _)| HARMLESS.contains(&name)) =>
            {
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
            || program == "git"
                && (*word == "--output"
                    || word.starts_with("--upload-pack")
                    || word.starts_with("--exec"))
            || program == "dpkg"
                && (word.contains("-invoke")
                    || word.starts_with("--status-logger")
                    || word.starts_with("--log"))
            || program == "nginx" && word.starts_with("-g")
            || program.starts_with("apt")
                && (word.starts_with("-o")
                    || word.starts_with("-c")
                    || word.starts_with("--option")
                    || word.starts_with("--config"))
    });
    looks && !follows
}

/// `anything --version` and `--help` alone only read.
fn only_asks_for_itself(program: &str, arguments: &[&str]) -> bool {
    matches!(arguments, ["--version" | "--help"])
        && program
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_.+".contains(letter))
}

/// Whether a letter is among the letters after a single `-`.
pub fn joined(arguments: &[&str], letter: char) -> bool {
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
    // `w FILE`, `e`, and flags of `s` with the same effect: any such letter where a command is
    // possible.
    let filled = |word: &str| {
        let mut parts = word.split('$').skip(1);
        parts.any(|behind| {
            behind.starts_with(|next: char| next.is_ascii_alphabetic() || "{_".contains(next))
                && behind != "p"
        })
    };
    let plain = |word: &&str| {
        !filled(word) && !word.contains(['w', 'W', 'e'])
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
            || word.contains("@load")
            || word.contains("@include")
    };
    { options }.all(|word| known(word)) && !arguments.iter().any(program)
}

fn ip(arguments: &[&str]) -> bool {
    const PLAIN: &str =
        "-br -brief -4 -6 -s -stats -d -details -j -json -p -pretty -o -oneline -c -color -a";
    const OBJECTS: &str =
        "a addr address l link r route rule ru n neigh maddr maddress tunnel tuntap";
    let known = |list: &str, word: &str| list.split_whitespace().any(|known| known == word);
    if !arguments
        .iter()
        .all(|word| !word.starts_with('-') || known(PLAIN, word))
    {
        return false;
    }
    let mut words = arguments.iter().filter(|word| !word.starts_with('-'));
    if !words.next().is_some_and(|object| known(OBJECTS, object)) {
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
            // It can name a file to write.
            "-w" | "--write-out" => match words.next() {
                Some(format) if !format.contains("%output") && !format.starts_with('@') => {}
                _ => return false,
            },
            // Options whose value is not an option.
            "-H" | "--header" | "-m" | "--max-time" | "--connect-timeout" | "--cacert"
            | "--resolve" | "-u" | "--user" | "-A" | "--retry" => {
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
