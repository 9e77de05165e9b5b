//! Commands that can be judged by their words alone, without counting operands or parsing option
//! values.

use super::Finding::{self, Asks, NeverEnds, Opens, Reads};
use super::options::Call;

/// `names verb verb`, with `|` between alternatives; then words of which one must be present, if
/// any are listed; then words that make the call harmless.
type Row = (&'static str, &'static str, &'static str, Finding);

const EACH: &str = "write `-y`: it then does not ask";
const FORCE: &str = "write `--force`: it then does not ask";
const BY_HAND: &str = "make it a `manual` block: a person does it; or use a tool that asks nothing";
const TEXT: &str = "give it the text: `<<'END'`, or `< FILE`";
const ONCE: &str = "write `timeout 30s` before it, or read once";

/// Commands that ask if they get no input.
#[rustfmt::skip]
pub(super) const ASK: &[Row] = &[
    ("ufw enable|reset", "", "--force --dry-run", Asks(FORCE)),
    ("iptables-apply|ip6tables-apply", "", "", Asks("use `iptables-restore FILE`")),
    ("netplan try", "", "", Asks("write `netplan apply`")),
    ("etcdctl user add|passwd", "", "--new-user-password --no-password --interactive *:", Asks("give the password on standard input, with `--interactive=false`")),
    ("patronictl switchover|failover|restart|reinit|remove", "", "--force", Asks(FORCE)),
    ("lvremove|vgremove|pvremove|lvreduce|lvconvert", "", "-y -f -t --yes --force --test", Asks(EACH)),
    ("mdadm", "-C --create", "-R --run", Asks("write `--run`")),
    ("fsck|e2fsck|fsck.ext2|fsck.ext3|fsck.ext4", "", "-y -p -a -n -N", Asks("write `-p` or `-y`")),
    ("dropdb|dropuser", "-i --interactive", "", Asks("leave out `-i`")),
    ("mysqladmin drop", "", "-f --force", Asks("write `-f`")),
    ("python|python3|manage.py|django-admin createsuperuser|shell|dbshell|flush|collectstatic|changepassword", "", "-c --command --noinput --no-input", Asks("write `--noinput`, or give `shell` its commands with `-c`")),
    ("python|python3 manage.py createsuperuser|shell|dbshell|flush|collectstatic|changepassword", "", "-c --command --noinput --no-input", Asks("write `--noinput`, or give `shell` its commands with `-c`")),
    ("python|python3 ./manage.py createsuperuser|shell|dbshell|flush|collectstatic|changepassword", "", "-c --command --noinput --no-input", Asks("write `--noinput`, or give `shell` its commands with `-c`")),
    ("npm|yarn init", "", "-y --yes", Asks(EACH)),
    ("gh auth login", "", "--with-token", Asks("write `--with-token`, and give it the token")),
    ("az|heroku|oc|npm|gcloud login", "", "-u -t --identity --service-principal --token --cred-file", Asks("use a token from a secret")),
    ("gcloud auth login", "", "--cred-file", Asks("write `gcloud auth activate-service-account --key-file FILE`")),
    ("pass|gopass insert|edit", "", "", Asks(BY_HAND)),
    ("git mergetool|difftool|gui|citool", "", "", Asks(BY_HAND)),
    ("git clean", "-i --interactive", "", Asks("write `-f`, and name the files")),
    ("svn commit|ci", "", "-m -F --message --file", Asks("write `-m TEXT`")),
    ("hg commit|ci", "", "-m -l --message --logfile", Asks("write `-m TEXT`")),
    ("easyrsa build-ca|gen-req|sign-req|build-server-full|build-client-full|revoke", "", "--batch", Asks("write `easyrsa --batch`")),
    ("keytool", "--genkey --genkeypair --import --importcert", "--storepass --noprompt", Asks("write `-noprompt`, with `-storepass:file FILE`")),
    ("update-alternatives|alternatives", "--config", "", Asks("write `--set NAME PATH`")),
    ("needrestart", "", "-r -b -p -l", Asks("write `-r a`")),
    ("do-release-upgrade", "", "-f -c --frontend --check-dist-upgrade-only", Asks("write `-f DistUpgradeViewNonInteractive`")),
    ("tasksel", "", "-t --test --list-tasks --task-packages install remove", Asks("write `tasksel install TASK`, or `apt-get install -y`")),
    ("nmtui|raspi-config|select-editor|cfdisk|nvram-wakeup", "", "nonint", Asks(BY_HAND)),
    ("lxd init", "", "--auto --minimal --preseed --dump", Asks("write `--auto`, or give it a `--preseed`")),
    ("rclone config", "", "create show file dump update delete password providers touch userinfo paths", Asks("write `rclone config create …`, or deliver its file")),
    ("pcs host|cluster auth", "", "-u", Asks("write `-u USER -p -`, and give it the password")),
    ("drbdadm create-md", "", "--force", Asks(FORCE)),
    ("gluster volume stop|delete|remove-brick|replace-brick|reset", "", "--mode", Asks("write `gluster --mode=script`")),
    ("ansible-vault view|decrypt|encrypt|rekey|encrypt_string", "", "--vault-password-file --vault-pass-file --vault-id", Asks("write `--vault-password-file FILE`")),
    ("samba-tool user create|add|setpassword", "", "--newpassword --random-password", Asks("write `--random-password`, or make it by hand")),
    ("slappasswd", "", "-s -T -g", Asks("write `-T FILE`")),
    ("caddy hash-password", "", "--plaintext", Asks("give it the password on standard input")),
    ("grub-mkpasswd-pbkdf2|grub2-mkpasswd-pbkdf2", "", "", Asks("give it the password twice on standard input")),
    ("debconf-set-selections|iptables-restore|ip6tables-restore", "", "*", Reads(TEXT)),
    ("wg pubkey", "", "", Reads(TEXT)),
    ("ed|red", "", "", Reads("give it the commands: `<<'END'`")),
    ("ex", "", "-c *+", Reads("give it the commands: `<<'END'`")),
    ("sendmail|msmtp", "", "-b -q --version --serverinfo", Reads(TEXT)),
    ("mail|mailx|s-nail|mutt", "", "-e -f -H -V -v", Reads(TEXT)),
    ("apt-key add", "-", "", Reads("name the file")),
    ("docker|podman build", "-", "", Reads("name the folder, or give it the file: `< Dockerfile`")),
    ("docker|podman|ctr import", "-", "", Reads("name the file")),
    ("nft", "-", "", Reads("name the file: `nft -f FILE`")),
    ("kafka-console-producer|kafka-console-producer.sh", "", "", Reads(TEXT)),
    ("smbclient|rpcclient", "", "-c -L --command --list", Opens("write `-c COMMANDS`")),
    ("gdb|lldb|pdb|pdb3", "", "-b --batch -p -x --ex --command --eval-command", Opens("write `--batch`, with `-ex COMMAND`")),
    ("mc|ncdu|ranger|lnav|k9s|lazydocker|nmon|tig|alpine|byobu|minicom|picocom|cu|bluetoothctl|links|w3m|elinks|lynx|cypher-shell|influx", "", "-o -d -c -n -f -e -dump --dump --export --headless -execute --execute --file show power scan", Opens(BY_HAND)),
    ("ipmitool sol activate", "", "", Opens(BY_HAND)),
    ("sqlplus|rman", "", "*@ *cmdfile -V -v", Opens("name the script: `@FILE`, or give it the text: `<<'END'`")),
    ("kadmin.local|kadmin", "", "-q *", Opens("write `-q QUERY`")),
    ("beeline|impala-shell", "", "-e -f -q --query_file --query", Opens("write `-f FILE`")),
    ("cockroach sql", "", "-e -f --execute --file", Opens("write `-e SQL`")),
    ("python|python3|perl|ruby|node|php|bash|dash", "-", "", Reads("write a block in that language, or name the file")),
    ("tclsh|expect|iex|julia|octave|sbcl|swipl", "", "* -c -e -E -f -g -v -V --eval --version --load --script --print", Opens("name the script")),
    ("lxc|incus console", "", "", Opens("write `lxc exec NAME -- COMMAND`")),
    ("lxc-console", "", "", Opens("write `lxc-attach -n NAME -- COMMAND`")),
    ("apk", "-i --interactive", "", Asks("leave out `-i`")),
    ("rails|bin/rails console|c|dbconsole", "", "", Opens("write `rails runner CODE`")),
    ("php|artisan artisan|tinker tinker", "", "--execute", Opens("write `--execute CODE`")),
];

/// Commands that ask on the terminal regardless of their input.
#[rustfmt::skip]
pub(super) const TERMINAL: &[Row] = &[
    ("psql|pg_dump|pg_dumpall|pg_restore|pg_basebackup|createdb|dropdb|createuser|dropuser|vacuumdb|reindexdb|clusterdb", "-W --password", "", Asks("leave out `-W`, and keep the password in a file: `PGPASSFILE`")),
    ("ansible|ansible-playbook|ansible-pull", "-k -K -J --ask-pass --ask-become-pass --ask-vault-pass --ask-vault-password", "", Asks("keep the password in a file: `--become-password-file FILE`")),
    ("ssh-copy-id", "", "-n", Asks("deliver the key with a `file` block")),
];

/// Commands that run until somebody stops them.
#[rustfmt::skip]
pub(super) const ENDLESS: &[Row] = &[
    ("tailf|multitail|stern|kubetail|dbus-monitor|bmon|dstat|powertop", "", "--csv --html --no-follow --time -c", NeverEnds(ONCE)),
    ("systemd-cgtop", "", "-n -1", NeverEnds("write `-n 1 -b`")),
    ("mosquitto_sub", "", "-C -W -E", NeverEnds("write `-C 1 -W 30`")),
    ("etcdctl watch", "", "", NeverEnds(ONCE)),
    ("redis-cli|valkey-cli monitor|subscribe|psubscribe", "", "", NeverEnds(ONCE)),
    ("redis-cli|valkey-cli", "--stat --latency --latency-history", "", NeverEnds(ONCE)),
    ("busctl|udevadm|ip|consul|nmcli|bpftool monitor", "", "", NeverEnds(ONCE)),
    ("perf top", "", "--stdio", NeverEnds("write `perf record -a sleep 10`")),
    ("iperf|iperf3", "-s --server", "-D -1 --daemon --one-off", NeverEnds("run it in the background: `-D`")),
    ("mtr", "", "-r -w -c -j --report --report-wide --json --csv --xml", NeverEnds("write `-r -c 3`")),
    ("php", "-S", "", NeverEnds("run it in the background, or as a service")),
    ("rails|bin/rails server|s", "", "-d --daemon", NeverEnds("run it as a service")),
    ("kafka-console-consumer|kafka-console-consumer.sh", "", "--max-messages --timeout-ms", NeverEnds("write `--max-messages 1 --timeout-ms 30000`")),
];

/// The finding of the first row that matches a call.
pub(super) fn first(rows: &[Row], call: &Call<'_>) -> Option<Finding> {
    let name = call.name();
    let row = rows.iter().find(|(command, when, unless, _)| {
        let mut parts = command.split(' ');
        parts.next().is_some_and(|names| is_one_of(names, name))
            && has_verbs(call, parts)
            && (when.is_empty() || has_any(call, when))
            && !has_any(call, unless)
    });
    row.map(|(.., finding)| *finding)
}

fn is_one_of(names: &str, name: &str) -> bool {
    names.split('|').any(|one| one == name)
}

/// Whether the verbs follow one another near the beginning; options may have values.
fn has_verbs<'a>(call: &Call<'_>, verbs: impl Iterator<Item = &'a str>) -> bool {
    const FURTHEST: usize = 3;
    let verbs: Vec<&str> = verbs.collect();
    let words = call.operands("");
    let stands = |at: usize| {
        let behind = words.iter().skip(at);
        let pairs = verbs.iter().zip(behind);
        words.len() >= at + verbs.len()
            && pairs.into_iter().all(|(verb, word)| is_one_of(verb, word))
    };
    (0..FURTHEST).any(stands)
}

/// Whether the call has one of: `-x`, `--word`, `word`, or `*part` of an operand.
fn has_any(call: &Call<'_>, words: &str) -> bool {
    words
        .split(' ')
        .filter(|word| !word.is_empty())
        .any(|word| {
            if let Some(part) = word.strip_prefix('*') {
                return call
                    .operands("")
                    .iter()
                    .any(|operand| operand.contains(part));
            }
            if let Some(long) = word.strip_prefix("--") {
                return call.any_long(&[long]);
            }
            match word.strip_prefix('-') {
                Some(letter) if letter.len() == 1 => call.any_short(letter, ""),
                _ => call.has(word),
            }
        })
}
