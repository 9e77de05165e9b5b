//! Commands that read typed input: as data, in a session, in an editor.

use super::Finding::{self, Asks, Opens, Reads};
use super::options::Call;

/// Finds commands that read typed input.
pub(super) fn reads(call: &Call<'_>) -> Option<Finding> {
    if !call.has_no_input() {
        return None;
    }
    let operands = |valued: &str| call.operands(valued);
    match call.name() {
        "read" | "mapfile" | "readarray" => {
            let elsewhere = call.any_short("u", "adinNpt");
            (!elsewhere).then_some(Reads(
                "make it a parameter or a secret, or give it something: `< FILE`",
            ))
        }
        "gpg" | "gpg2" if call.any_long(&["import", "decrypt", "dearmor"]) => operands("oru")
            .is_empty()
            .then_some(Reads("name the file, or give it something: `< FILE`")),
        "sfdisk"
            if !call.any_short("ldVAsgFJr", "NXoY")
                && !call.any_long(&[
                    "list",
                    "dump",
                    "json",
                    "delete",
                    "part-type",
                    "part-uuid",
                    "part-label",
                    "part-attrs",
                    "activate",
                    "backup-pt-sectors",
                    "reorder",
                    "verify",
                    "show-size",
                    "list-types",
                    "list-free",
                    "disk-id",
                ]) =>
        {
            Some(Reads("give it the table: `< FILE`"))
        }
        "cat" | "tee" => {
            let files = operands("");
            let reads = files.iter().all(|file| *file == "-") || call.name() == "tee";
            let writes = call.command.kept || call.name() == "tee";
            (reads && writes).then_some(Reads("give it the text: `<<'END'`, or a `file` block"))
        }
        "crontab" if !call.any_short("elr", "u") => {
            let files = operands("u");
            files
                .iter()
                .all(|file| *file == "-")
                .then_some(Reads("name the file: otherwise it installs an empty table"))
        }
        "at" | "batch" if !call.any_short("flcdrV", "qt") => {
            Some(Reads("give it the commands: `<<'END'`, or `-f FILE`"))
        }
        "kubectl" if call.has("-") && call.any_short("f", "nl") => {
            Some(Reads("give it the text: `<<'END'`, or name a file"))
        }
        "docker" | "podman" if call.verb() == "load" && call.after_verb().is_empty() => {
            Some(Reads("write `-i FILE`"))
        }
        "docker" | "podman" | "helm" if call.has("--password-stdin") => {
            Some(Reads("give it the password on standard input"))
        }
        _ => None,
    }
}

/// Commands that read standard input if no file is named. With empty input they do nothing and
/// report success.
pub(super) fn filters(call: &Call<'_>) -> Option<Finding> {
    const HINT: &str = "name the file, or give it something: `< FILE`";
    if !call.has_no_input() {
        return None;
    }
    let any = |letters: &str, valued: &str, long: &[&str]| {
        call.any_short(letters, valued) || call.any_long(long)
    };
    let files = |valued: &str| call.operands(valued).len();
    let reads = match call.name() {
        "tr" => true,
        "wc" => files("") == 0 && !any("", "", &["files0-from"]),
        "sort" => files("kSTto") == 0 && !any("", "", &["files0-from"]),
        "uniq" => files("fsw") == 0,
        "head" => files("nc") == 0,
        "tail" => files("ncs") == 0,
        "cut" => files("bcdf") == 0,
        "rev" | "nl" | "tac" | "base64" | "md5sum" | "sha1sum" | "sha256sum" | "sha512sum" => {
            files("wbidfhlnsv") == 0
        }
        "grep" | "egrep" | "fgrep" => {
            let program = usize::from(!any("ef", "mABCdD", &["regexp", "file"]));
            let folder = any("rRV", "efmABCdD", &["recursive", "dereference-recursive"]);
            files("efmABCdD") <= program && !folder
        }
        "sed" => {
            let program = usize::from(!any("ef", "l", &["expression", "file"]));
            files("efl") <= program
        }
        "dd" => !call.arguments().iter().any(|word| word.starts_with("if=")),
        "patch" => files("iprodBDFVYzg") < 2 && !any("iv", "", &["input"]),
        "wall" => files("gt") == 0,
        "xargs" => !any("a", "dEIiLlnPs", &["arg-file"]),
        _ => false,
    };
    reads.then_some(Reads(HINT))
}

/// Interactive shells and clients.
pub(super) fn opens(call: &Call<'_>) -> Option<Finding> {
    if !call.has_no_input() {
        return None;
    }
    let long = |names: &[&str]| call.any_long(names);
    let none = |valued: &str| call.operands(valued).is_empty();
    match call.name() {
        "su" | "runuser" => {
            let command =
                call.any_short("cuT", "gGsw") || long(&["command", "session-command", "user"]);
            (!command).then_some(Opens(
                "write `sudo=USER` on the fence, or `su - USER -c COMMAND`",
            ))
        }
        "sudo" | "doas" => {
            let session = call.any_short("is", "ugpCcDhrtTU");
            session.then_some(Opens("write `sudo` or `sudo=USER` on the fence"))
        }
        "sh" | "bash" | "dash" | "zsh" | "ksh" | "fish" | "ash" => {
            let script = call.any_short("c", "oO") || long(&["command"]);
            (!script && (none("oO") || call.any_short("s", "oO")))
                .then_some(Opens("write the commands into the block, or `-c COMMANDS`"))
        }
        "python" | "python2" | "python3" | "ipython" | "node" | "irb" | "ruby" | "perl" | "php"
        | "lua" | "R" | "ghci" | "scala" | "jshell" => {
            let script = call.any_short("cmeErnpSV", "W") || long(&["eval", "print", "check"]);
            (!script && none("WXIr"))
                .then_some(Opens("name the script, or write a block in that language"))
        }
        "psql" => {
            let script =
                call.any_short("cflV?", "dFhLopPRTUv") || long(&["command", "file", "list"]);
            (!script).then_some(Opens("write `-c SQL` or `-f FILE`"))
        }
        "mysql" | "mariadb" => {
            let script = call.any_short("eV?", "huPSDp") || long(&["execute"]);
            (!script).then_some(Opens("write `-e SQL`, or give it a file: `< FILE`"))
        }
        "mongo" | "mongosh" => {
            let mut words = call.arguments().iter();
            let script = long(&["eval", "file"]) || words.any(|word| word.contains(".js"));
            (!script).then_some(Opens("write `--eval CODE`, or name a file"))
        }
        "sqlite3" => (call.operands("").len() < 2 && !long(&["cmd", "init"]))
            .then_some(Opens("write the SQL after the file")),
        "redis-cli" | "valkey-cli" => {
            let works = long(&[
                "eval", "scan", "bigkeys", "rdb", "cluster", "pipe", "latency", "stat", "memkeys",
                "hotkeys",
            ]);
            (!works && none("hpanuirstDd")).then_some(Opens("write the command after it"))
        }
        "cqlsh" => (!call.any_short("ef", "ukp") && !long(&["execute", "file"]))
            .then_some(Opens("write `-e CQL`")),
        "clickhouse-client" => (!call.any_short("qn", "hu") && !long(&["query", "queries-file"]))
            .then_some(Opens("write `-q SQL`")),
        "bc" | "dc" => (none("e") && !call.any_short("ef", ""))
            .then_some(Opens("give it the sum: `echo '1 + 1' | bc`")),
        "newgrp" | "login" => Some(Opens(
            "write `sg GROUP -c COMMAND`, or `sudo=USER` on the fence",
        )),
        _ => connects(call),
    }
}

/// Clients of remote hosts, and environments that one enters.
fn connects(call: &Call<'_>) -> Option<Finding> {
    let none = |valued: &str| call.operands(valued).is_empty();
    match call.name() {
        "ssh" => {
            let valued = "BbcDEeFIiJLlmOopPQRSWw";
            let no_session = call.any_short("NOVGQWf", "BbcDEeFIiJLlmopPRSw");
            (!no_session && call.operands(valued).len() < 2)
                .then_some(Opens("write the command after the name of the host"))
        }
        "sftp" => (!call.any_short("b", "BcDFiJloPRSsX"))
            .then_some(Opens("write `-b FILE`, or use `scp`")),
        "ftp" | "telnet" | "lftp" => {
            let script = call.any_short("cefu", "p");
            (!script).then_some(Opens("give it input: `printf … | telnet HOST PORT`"))
        }
        "nc" | "ncat" | "netcat" | "nc.openbsd" | "nc.traditional" => {
            let known = call.any_short("zldNwq", "eioPpsTXx");
            (!known && !none("eioPpsTXx"))
                .then_some(Opens("write `-z` to test the port, or give it input"))
        }
        "tmux" => {
            let verb = call.verb();
            let attaches = verb.is_empty()
                || verb.starts_with("attach")
                || verb == "a"
                || verb.starts_with("new") && !call.any_short("d", "snctfLSF");
            attaches.then_some(Opens(
                "write `new-session -d`, or remove it: a step survives a lost connection",
            ))
        }
        "screen" => (!call.any_short("dlwXQ", "SstcpT")).then_some(Opens(
            "write `-dm`, or remove it: a step survives a lost connection",
        )),
        "script" => {
            let command = call.any_short("c", "BIOTEomt") || call.any_long(&["command"]);
            // BSD's form: `script FILE COMMAND`.
            (!command && call.operands("BIOTEomt").len() < 2).then_some(Opens("write `-c COMMAND`"))
        }
        "sg" => (!call.any_short("c", "") && call.operands("").len() < 2)
            .then_some(Opens("write `sg GROUP -c COMMAND`")),
        "vagrant" if call.verb() == "ssh" => {
            let command = call.any_short("c", "") || call.any_long(&["command"]) || call.has("--");
            (!command).then_some(Opens("write `-c COMMAND`"))
        }
        "virsh" | "ceph" | "nslookup" | "aptitude" | "$SHELL" | "${SHELL}"
            if none("cfLIn") && !call.any_short("c", "") =>
        {
            Some(Opens("write the command after it"))
        }
        "machinectl" if matches!(call.verb(), "shell" | "login") && call.after_verb().len() < 2 => {
            Some(Opens("write the command after it"))
        }
        "virsh" if call.verb() == "console" => Some(Opens("use `virsh` commands, or ssh")),
        "chroot" => {
            (call.operands("").len() < 2).then_some(Opens("write the command after the folder"))
        }
        "nsenter" | "unshare" => none("tSG").then_some(Opens("write the command after it")),
        _ => None,
    }
}

/// Editors, and commands that open one.
pub(super) fn edits(call: &Call<'_>) -> Option<Finding> {
    const HINT: &str = "deliver the file with a `file` block, or change it with `sed -i`";
    if call.has_editor {
        return None;
    }
    let long = |names: &[&str]| call.any_long(names);
    match (call.name(), call.verb()) {
        ("vi" | "vim" | "nvim", _) => {
            let mut words = call.arguments().iter();
            let script = call.any_short("csSeE", "uTw") || words.any(|word| word.starts_with('+'));
            (!script).then_some(Asks(HINT))
        }
        ("nano" | "pico" | "joe" | "mcedit" | "micro" | "vipw" | "vigr" | "sudoedit", _) => {
            Some(Asks(HINT))
        }
        ("sudo", _) if call.any_short("e", "ugpCcDhrtTU") => Some(Asks(HINT)),
        ("emacs", _) => (!long(&["batch", "script", "daemon"])).then_some(Asks(HINT)),
        ("visudo", _) => {
            let checks = call.any_short("cV", "f") || long(&["check"]);
            (!checks).then_some(Asks(
                "deliver a file to `/etc/sudoers.d/`, and look at it with `visudo -cf FILE`",
            ))
        }
        ("crontab", _) if call.any_short("e", "u") => Some(Asks("give it a file: `crontab FILE`")),
        ("systemctl", "edit") if !long(&["stdin"]) => {
            Some(Asks("deliver a file to `/etc/systemd/system/UNIT.d/`"))
        }
        ("kubectl" | "oc", "edit") => {
            Some(Asks("write `kubectl patch` or `kubectl apply -f FILE`"))
        }
        ("virsh", "edit") => Some(Asks("write `virsh define FILE`")),
        ("ansible-vault", "edit" | "create") => Some(Asks("write `ansible-vault encrypt FILE`")),
        ("git", _) => git(call),
        _ => None,
    }
}

fn git(call: &Call<'_>) -> Option<Finding> {
    // `git -C DIR commit`
    let operands = call.operands("Cc");
    let long = |names: &[&str]| call.any_long(names);
    let options = call.after_options_of_git();
    let short = |letters: &str| {
        options.iter().any(|word| {
            let cluster = word.strip_prefix('-').filter(|word| !word.starts_with('-'));
            cluster.is_some_and(|cluster| cluster.contains(|c| letters.contains(c)))
        })
    };
    match operands.first().copied() {
        Some("commit") => {
            let said = short("mFCt")
                || long(&[
                    "message",
                    "file",
                    "no-edit",
                    "reuse-message",
                    "fixup",
                    "dry-run",
                    "template",
                ]);
            (!said).then_some(Asks("write `-m TEXT`"))
        }
        Some("rebase") if short("i") || long(&["interactive"]) => {
            Some(Asks("give all arguments: `git rebase --onto …`"))
        }
        Some("add" | "checkout" | "restore" | "reset" | "stash")
            if short("p") || long(&["patch", "interactive"]) =>
        {
            Some(Asks("name the files"))
        }
        Some("tag") if short("a") && !short("mF") && !long(&["message", "file"]) => {
            Some(Asks("write `-m TEXT`"))
        }
        _ => None,
    }
}

impl<'a> Call<'a> {
    /// The words after the verb of `git -C DIR VERB`.
    fn after_options_of_git(&self) -> &'a [String] {
        let verb = self.operands("Cc").first().copied().unwrap_or_default();
        let words = self.arguments();
        let at = words.iter().position(|word| word == verb);
        at.map_or(&[], |at| &words[at + 1..])
    }
}
