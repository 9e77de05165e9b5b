//! Commands that ask before they do something.

use super::Finding::{self, Asks, Reads};
use super::options::Call;
use super::tables;

const YES: &str = "write `-y`: it then does not ask";

/// Finds commands that ask before they act.
pub(super) fn asks(call: &Call<'_>) -> Option<Finding> {
    if call.is_answered {
        return None;
    }
    let terminal = of_a_terminal(call).or_else(|| tables::first(tables::TERMINAL, call));
    if terminal.is_some() || !call.has_no_input() {
        return terminal;
    }
    tables::first(tables::ASK, call)
        .or_else(|| installs(call))
        .or_else(|| sets_up(call))
        .or_else(|| keys(call))
        .or_else(|| passwords(call))
        .or_else(|| destroys(call))
}

/// Commands that need a terminal regardless of their input.
fn of_a_terminal(call: &Call<'_>) -> Option<Finding> {
    let name = call.name();
    let after = call.after_verb();
    let tty = |word: &String| {
        word == "--tty" || word.starts_with('-') && !word.starts_with("--") && word.contains('t')
    };
    // The options end where the image, the container or the command begins.
    let mut options = after.iter().take_while(|word| word.starts_with('-'));
    match (name, call.verb()) {
        ("docker" | "podman" | "kubectl" | "oc" | "nerdctl", "run" | "exec" | "attach")
            if options.any(tty) =>
        {
            Some(Asks(
                "omit `-t`: a step has no terminal; `-i` passes standard input",
            ))
        }
        ("dialog" | "whiptail" | "zenity", _) => Some(Asks("make it a parameter of the procedure")),
        ("mysql" | "mariadb" | "mysqldump" | "mysqladmin", _)
            if call.has("-p") || call.has("--password") =>
        {
            Some(Asks(
                "keep the password in a file: `--defaults-extra-file=FILE`",
            ))
        }
        ("mysql_secure_installation", _) => {
            Some(Asks("pass the statements that it runs to `mysql`"))
        }
        ("ldapadd" | "ldapmodify" | "ldapsearch" | "ldapdelete" | "ldappasswd", _)
            if call.any_short("W", "DHbsfy") =>
        {
            Some(Asks("keep the password in a file: `-y FILE`"))
        }
        _ => None,
    }
}

/// Package commands that change the system, by tool.
const APT: [&str; 11] = [
    "install",
    "reinstall",
    "upgrade",
    "dist-upgrade",
    "full-upgrade",
    "safe-upgrade",
    "remove",
    "purge",
    "autoremove",
    "autopurge",
    "build-dep",
];
const DNF: [&str; 12] = [
    "install",
    "update",
    "upgrade",
    "remove",
    "erase",
    "reinstall",
    "downgrade",
    "groupinstall",
    "localinstall",
    "autoremove",
    "swap",
    "distro-sync",
];
const ZYPPER: [&str; 9] = [
    "install",
    "in",
    "remove",
    "rm",
    "update",
    "up",
    "patch",
    "dup",
    "dist-upgrade",
];

/// Tools that install, update or remove.
fn installs(call: &Call<'_>) -> Option<Finding> {
    let verb = call.verb();
    let is = |verbs: &[&str]| verbs.contains(&verb);
    let yes = call.any_short("y", "oct") || call.any_long(&["yes", "assumeyes"]);
    let dry = call.any_short("s", "oct")
        || call.any_long(&[
            "assume-yes",
            "assume-no",
            "assumeno",
            "simulate",
            "dry-run",
            "just-print",
            "print-uris",
            "trivial-only",
            "downloadonly",
        ])
        || call
            .arguments()
            .iter()
            .any(|word| word.contains("Assume-Yes"));
    match call.name() {
        "apt" | "apt-get" | "aptitude" if is(&APT) => {
            (!yes && !dry && !call.any_long(&["qq"])).then_some(Asks(YES))
        }
        "dnf" | "yum" | "microdnf" | "tdnf" if is(&DNF) => (!yes && !dry).then_some(Asks(YES)),
        "zypper" if is(&ZYPPER) => {
            let quiet = call.any_short("n", "") || call.any_long(&["non-interactive"]);
            (!yes && !dry && !quiet).then_some(Asks("write `zypper -n`: it then does not ask"))
        }
        "pacman" => {
            let mut words = call.arguments().iter();
            let changes = words.any(|word| {
                word.starts_with("-S") && !word.contains(['s', 'i', 'l', 'g']) && word != "-Sy"
                    || word.starts_with("-R")
                    || word.starts_with("-U")
            });
            let quiet = call.any_long(&["noconfirm", "print"]);
            (changes && !quiet).then_some(Asks("write `--noconfirm`: it then does not ask"))
        }
        "pip" | "pip3" | "conda" | "mamba" | "flatpak" | "pkg"
            if is(&["uninstall"])
                || is(&["install", "remove", "upgrade", "delete"])
                    && !call.name().starts_with("pip") =>
        {
            (!yes).then_some(Asks(YES))
        }
        _ => None,
    }
}

/// Tools with a set-up dialogue.
fn sets_up(call: &Call<'_>) -> Option<Finding> {
    match call.name() {
        "add-apt-repository" | "apt-add-repository" => {
            let yes = call.any_short("y", "") || call.any_long(&["yes"]);
            (!yes && !call.any_long(&["list"])).then_some(Asks(YES))
        }
        "dpkg-reconfigure" => {
            let frontend = call.has_editor
                || call
                    .arguments()
                    .iter()
                    .any(|word| word.contains("noninteractive"));
            (!frontend).then_some(Asks(
                "write `-f noninteractive`, and set the answers with `debconf-set-selections`",
            ))
        }
        "certbot" | "letsencrypt"
            if !["renew", "certificates", "plugins", "show_account"].contains(&call.verb()) =>
        {
            let quiet =
                call.any_short("n", "dmw") || call.any_long(&["non-interactive", "noninteractive"]);
            (!quiet).then_some(Asks("write `-n`, with `--agree-tos -m ADDRESS`"))
        }
        _ => None,
    }
}

/// Tools that create keys and certificates.
fn keys(call: &Call<'_>) -> Option<Finding> {
    let long = |names: &[&str]| call.any_long(names);
    match (call.name(), call.verb()) {
        ("ssh-keygen", _) => {
            let makes = !call.any_short("RFlyALsBHeiQkMDIUr", "abCfmNOPtZ");
            let asks = !call.any_short("N", "abCfmOPtZ") || !call.any_short("f", "abCmNOPtZ");

            (makes && asks).then_some(Asks("write `-N '' -f FILE`, or `-N \"$passphrase\"`"))
        }
        ("openssl", "req") => {
            let makes = long(&["new", "newkey", "x509"]) && !long(&["in"]);
            let named = long(&["subj", "batch", "config"]);
            let key =
                long(&["nodes", "noenc", "passout", "key", "config"]) || !long(&["newkey", "x509"]);
            (makes && !(named && key)).then_some(Asks(
                "write `-subj /CN=NAME -nodes`, or `-batch -config FILE -passout file:FILE`",
            ))
        }
        ("openssl", "genrsa" | "genpkey" | "rsa" | "ec" | "pkey") => {
            let locked = long(&[
                "aes128",
                "aes192",
                "aes256",
                "des3",
                "des",
                "aes-256-cbc",
                "aes-128-cbc",
            ]);
            (locked && !long(&["passout", "pass"])).then_some(Asks("write `-passout file:FILE`"))
        }
        ("openssl", "enc") => {
            let key = long(&["pass", "k", "K", "kfile", "none", "base64", "a"]);
            (!key).then_some(Asks("write `-pass file:FILE`"))
        }
        ("openssl", "ca") => (!long(&["batch", "gencrl", "revoke", "updatedb", "status"]))
            .then_some(Asks("write `-batch`")),
        ("openssl", "pkcs12") if long(&["export"]) => {
            (!long(&["passout", "password"])).then_some(Asks("write `-passout file:FILE`"))
        }
        ("gpg" | "gpg2", _) => {
            let asks = long(&[
                "gen-key",
                "full-generate-key",
                "full-gen-key",
                "generate-key",
                "edit-key",
                "symmetric",
                "delete-secret-keys",
                "delete-keys",
                "sign-key",
                "quick-generate-key",
                "quick-gen-key",
            ]) || call.any_short("c", "oru");
            (asks && !long(&["batch", "command-fd", "passphrase-file", "passphrase-fd"])).then_some(
                Asks("write `--batch`, with what it asks in a file of parameters"),
            )
        }
        _ => None,
    }
}

/// Tools that ask for a password or an identity.
fn passwords(call: &Call<'_>) -> Option<Finding> {
    let long = |names: &[&str]| call.any_long(names);
    match (call.name(), call.verb()) {
        ("createuser", _) => {
            let asks = call.any_short("P", "cghpUv") || long(&["pwprompt", "interactive"]);
            asks.then_some(Asks(
                "give the password by SQL: `psql` with `CREATE ROLE … PASSWORD` on standard input",
            ))
        }
        ("passwd", _) => {
            let quiet = call.any_short("ludeSanxwi", "R")
                || long(&["stdin", "lock", "unlock", "delete", "expire", "status"]);
            (!quiet).then_some(Asks("give the password on standard input: `printf '%s:%s\\n' USER \"$password\" | chpasswd`"))
        }
        ("adduser", _) => {
            let quiet = long(&["disabled-password", "disabled-login", "system", "group"])
                || call.any_short("DrS", "hgsGuk");
            let joins = call.operands("hgsGuk").len() > 1;
            (!quiet && !joins).then_some(Asks(
                "write `--disabled-password --gecos ''`, or use `useradd`",
            ))
        }
        ("chsh", _) => (!call.any_short("sl", "R")).then_some(Asks("write `-s SHELL`")),
        ("chfn", _) => (call.operands("fohrwu").len() == call.arguments().len())
            .then_some(Asks("write `-f NAME`")),
        ("docker" | "podman", "login") => (!call.any_short("p", "u")
            && !long(&["password", "password-stdin", "get-login"]))
        .then_some(Asks("write `--password-stdin`, and give it the password")),
        ("aws", "configure") if call.after_verb().is_empty() => {
            Some(Asks("write `aws configure set NAME VALUE`"))
        }
        ("npm", "login" | "adduser") | ("az" | "heroku" | "cargo", "login")
            if call.after_verb().is_empty() =>
        {
            Some(Asks("use a token from a secret"))
        }
        ("htpasswd", _) => (!call.any_short("bivD", "C"))
            .then_some(Asks("write `-i`, and give the password on standard input")),
        ("kinit", _) => (!call.any_short("kRV", "cltrsS")).then_some(Asks("write `-k -t KEYTAB`")),
        ("smbpasswd", _) => (!call.any_short("sxden", "rUD"))
            .then_some(Asks("write `-s`, and give the password on standard input")),
        ("cryptsetup", "luksOpen" | "luksFormat" | "open" | "luksAddKey") => {
            (!call.any_short("d", "cshi") && !long(&["key-file"]))
                .then_some(Asks("write `--key-file FILE`"))
        }
        ("chpasswd" | "newusers", _) => call
            .operands("cRs")
            .is_empty()
            .then_some(Reads("give it lines `USER:PASSWORD` on standard input")),
        _ => None,
    }
}

/// Commands that ask before each deletion.
fn destroys(call: &Call<'_>) -> Option<Finding> {
    let long = |names: &[&str]| call.any_long(names);
    match (call.name(), call.verb()) {
        ("rm" | "cp" | "mv" | "ln", _) => {
            let asks = call.any_short("iI", "tS") || long(&["interactive"]);
            (asks && !call.any_short("f", "tS")).then_some(Asks(
                "omit `-i`: an empty answer means no, so it does nothing",
            ))
        }
        (
            "docker" | "podman",
            "system" | "image" | "volume" | "container" | "network" | "builder",
        ) if call.has("prune") => (!call.any_short("f", "") && !long(&["force"]))
            .then_some(Asks("write `-f`: it then does not ask")),
        ("terraform" | "tofu", "apply" | "destroy") => {
            let plan = call.after_verb().iter().any(|word| !word.starts_with('-'));
            (!plan && !long(&["auto-approve"]))
                .then_some(Asks("write `-auto-approve`, or name the file of a plan"))
        }
        ("kubeadm", "reset") => {
            (!call.any_short("f", "") && !long(&["force"])).then_some(Asks("write `-f`"))
        }
        ("fdisk" | "gdisk" | "cfdisk" | "parted", _) => (!call.any_short("lsv", "")
            && !long(&["list", "script"]))
        .then_some(Asks("write `parted -s` or `sfdisk` with commands")),
        ("ufw", "delete") => {
            let number = |word: &String| word.bytes().all(|byte| byte.is_ascii_digit());
            (call.after_verb().first().is_some_and(number) && !long(&["force"]))
                .then_some(Asks("write `ufw --force`, or name the rule itself"))
        }
        ("vault", "login") => (call.after_verb().iter().all(|word| !word.contains('='))
            && call.operands("").len() < 2)
            .then_some(Asks("write `vault login -`, and give it the token")),
        ("vault", "operator") if call.has("unseal") => (call.operands("").len() < 3)
            .then_some(Asks("give it the key: `vault operator unseal -`")),
        ("gcloud", _) if call.has("delete") => (!call.any_short("q", "") && !long(&["quiet"]))
            .then_some(Asks("write `-q`: it then does not ask")),
        _ => None,
    }
}
