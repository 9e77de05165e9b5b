//! Classifies a block by its text.

use std::sync::LazyLock;

use regex::Regex;

use crate::commands::{looks, tool};
use crate::guess::{changes, seems_to_look};
use crate::terminal::{needs_a_person, never_ends};
use crate::words::{Command, commands};

macro_rules! pattern {
    ($pattern:literal) => {
        LazyLock::new(|| {
            #[allow(clippy::expect_used, reason = "a constant pattern")]
            Regex::new($pattern).expect("a constant pattern")
        })
    };
}

static STAMP: LazyLock<Regex> =
    pattern!(r"^\s*(\[?\d{4}-\d\d-\d\d[T ]|\w{3} +\d+ \d\d:\d\d:\d\d|\d\d:\d\d:\d\d)");
/// Placeholders that the reader has to fill in.
static OPEN: LazyLock<Regex> = pattern!(
    r"<[A-Za-z][A-Za-z0-9 _./:-]*>|\bYOUR[_-][A-Z_]+|%[a-z_]+%|\{\{.*\}\}|\bX{3,}\b|(?m)\.\.\. *$"
);
/// Prompts of shells except `$ `.
static PROMPT: LazyLock<Regex> =
    pattern!(r"^(?:\S+@\S+[:~ ]?\S*[$#%>]|[\w.-]+:\S*[$#]|\[[^\]]*\][$#]|[❯➜»λ%#]) +");
/// Matches `print(x)`, `Model.objects.all()`, but not `f() {`.
static CALL: LazyLock<Regex> = pattern!(r"^(?:\w+ = )?[\w.]+\((?:[^)]|\)[^{]*$)");
/// Prompts of other programs: `127.0.0.1:6379> `, `postgres=# `, `mysql> `, `> `.
static OTHERS: LazyLock<Regex> = pattern!(r"^(?:[\w.:*()\[\]-]*>{1,3}|\w+[=-][#>]) ");

/// The proposed kind of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suggestion {
    /// It only reads.
    Check,
    /// It changes something.
    Step,
    /// It is only shown, never run; the reason.
    Example(&'static str),
    /// No tag: a person has to decide.
    Left(Left),
}

/// A block without a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its probable kind.
    pub likely: Likely,
    /// Why that is not certain, or what it needs first.
    pub why: String,
}

/// The probable kind of an untagged block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likely {
    /// It seems to read.
    Check,
    /// It seems to change something.
    Step,
    /// Nothing to run.
    Example,
    /// Work for a person.
    Manual,
    /// The text of a file.
    File,
    /// Several blocks.
    Split,
}

impl Likely {
    /// The fence word, with a remark.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Likely::Check => "check",
            Likely::Step => "step",
            Likely::Example => "example",
            Likely::Manual => "manual",
            Likely::File => "file",
            Likely::Split => "several",
        }
    }
}

fn left(likely: Likely, why: impl Into<String>) -> Suggestion {
    let why = why.into();
    Suggestion::Left(Left { likely, why })
}

/// Classifies a shell block.
#[must_use]
pub fn judge(script: &str) -> Suggestion {
    let code = script.lines().map(str::trim);
    let code: Vec<&str> = code
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    if let Some(as_root) = root_prompts(script) {
        return as_root;
    }
    let Some(first) = code.first() else {
        return Suggestion::Example("it contains no command");
    };
    if STAMP.is_match(first) {
        return Suggestion::Example("it is a log");
    }
    if script.trim_start().starts_with("#!") {
        return left(
            Likely::File,
            "`file to=/PATH mode=0755`, where it is a file",
        );
    }
    if code.iter().any(|line| line.starts_with("$ ")) {
        return session(script);
    }
    if OTHERS.is_match(first) {
        return left(
            Likely::Example,
            "a session in another program, or its output",
        );
    }
    if let Some(shell) = code.iter().find_map(|line| PROMPT.find(line)) {
        let commands = code.iter().filter_map(|line| {
            let prompt = PROMPT.find(line)?;
            Some(&line[prompt.end()..])
        });
        let why = format!(
            "write `$ ` instead of the prompt `{}`",
            shell.as_str().trim()
        );
        return unsure(judge(&commands.collect::<Vec<_>>().join("\n")), why);
    }
    if let Some(why) = no_commands(first, &code) {
        return left(Likely::Example, why);
    }
    // Placeholders in comments need not be filled in.
    let read: Vec<&str> = script
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect();
    let read = read.join("\n");
    if let Some(alone) = before_output(&code) {
        return unsure(
            of_commands(alone),
            "a command and what it prints: write `$ ` before it".to_owned(),
        );
    }
    match { OPEN.find_iter(&read) }.find(|open| !read[..open.start()].ends_with('<')) {
        Some(open) => {
            // A placeholder says nothing about the other words.
            let filled = OPEN.replace_all(&read, "X");
            let why = format!("placeholder `{}`: a parameter", open.as_str().trim());
            unsure(of_commands(&filled), why)
        }
        None => of_commands(script),
    }
}

/// The same kind without certainty.
fn unsure(suggestion: Suggestion, why: String) -> Suggestion {
    let likely = match suggestion {
        Suggestion::Check => Likely::Check,
        Suggestion::Step => Likely::Step,
        Suggestion::Example(_) => Likely::Example,
        Suggestion::Left(left) => left.likely,
    };
    left(likely, why)
}

/// Commands after `$ `, with their output.
fn session(script: &str) -> Suggestion {
    let mut commands = String::new();
    let mut prints = false;
    let mut goes_on = false;
    for line in script.lines() {
        let bare = line.trim_start();
        let command = match bare.strip_prefix("$ ") {
            Some(command) => Some(command),
            None if goes_on => Some(bare.strip_prefix("> ").unwrap_or(bare)),
            None => None,
        };
        prints |= command.is_none() && !bare.is_empty();
        if let Some(command) = command {
            commands.push_str(command);
            commands.push('\n');
            goes_on = command.trim_end().ends_with(['\\', '|']);
        }
    }
    match judge(&commands) {
        suggestion if !prints => suggestion,
        // The output of one run is not an expectation.
        Suggestion::Check => left(
            Likely::Check,
            "a session that only reads: write `...` for the output that changes",
        ),
        Suggestion::Step => left(
            Likely::Step,
            "a session that changes something: write `...` for the output that changes",
        ),
        other => other,
    }
}

/// Lines that all begin with `# `, root's prompt, followed by commands.
fn root_prompts(script: &str) -> Option<Suggestion> {
    let lines = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let commands: Option<Vec<&str>> = lines.map(|line| line.strip_prefix("# ")).collect();
    let commands = commands.filter(|commands| !commands.is_empty())?;
    let known = |line: &&str| {
        let all = crate::words::commands(line)?;
        let words = unwrapped(&all.first()?.words);
        // A sentence may begin with the name of a program.
        let sentence = words.len() > 6 || words[0].starts_with(char::is_uppercase);
        (!sentence && (looks(&words) || changes(&words))).then_some(())
    };
    if !commands.iter().all(|line| known(line).is_some()) {
        return None;
    }
    let why = "write `$ ` instead of root's prompt `# `".to_owned();
    Some(unsure(judge(&commands.join("\n")), why))
}

/// Reasons why a block does not begin like a command: output, another language, a protocol.
fn no_commands(first: &str, code: &[&str]) -> Option<&'static str> {
    let word = first.split_whitespace().next().unwrap_or_default();
    let shouts = word.len() > 2
        && word
            .chars()
            .all(|letter| letter.is_ascii_uppercase() || ".:-".contains(letter));
    if word.ends_with(':')
        || word.starts_with(['-', '+', '|', '=', ',', '%', '{', '\u{1b}']) && word != "{"
    {
        return Some("it does not begin with a command: perhaps output, or another language");
    }
    if shouts {
        return Some("words of another program");
    }
    let opens = first.ends_with('{')
        && !first.contains("()")
        && !["if", "for", "while", "function"].contains(&word);
    if CALL.is_match(first)
        || opens && word != "{"
        || word.starts_with("//")
        || word.starts_with("/*")
    {
        return Some("text of another language");
    }
    // Columns of words that are not options.
    let table = |line: &&str| {
        let plain = line.split("  ").filter(|part| !part.is_empty()).count();
        plain > 1 && !line.contains(['\\', '#', '|', '\'', '"']) && !line.contains(" -")
    };
    let known = |words: &[&str]| looks(words) || changes(words);
    let words: Vec<&str> = first.split_whitespace().collect();
    (code.len() > 1
        && code.iter().filter(|line| table(line)).count() * 2 > code.len()
        && !known(&words))
    .then_some("it looks like a table that was printed")
}

/// A command whose other lines are its output: a table whose first word is not a command.
fn before_output<'s>(code: &[&'s str]) -> Option<&'s str> {
    let (first, rest) = code.split_first()?;
    let table = |line: &&&str| line.contains("   ") && !line.contains(['\\', '#', '|', '=']);
    let heads = |line: &str| {
        let word = line.split_whitespace().next().unwrap_or_default();
        word.len() > 1
            && word
                .chars()
                .all(|letter| letter.is_ascii_uppercase() || letter == '_')
    };
    (heads(rest.first()?) && rest.iter().filter(table).count() * 2 > rest.len()).then_some(*first)
}

fn of_commands(script: &str) -> Suggestion {
    let Some(all) = commands(script) else {
        return left(
            Likely::Step,
            "its text cannot be split into commands reliably",
        );
    };
    let bare: Vec<Vec<&str>> = all
        .iter()
        .map(|command| unwrapped(&command.words))
        .collect();
    let waits = |(command, words): (&Command, &Vec<&str>)| !command.background && never_ends(words);
    if all.iter().zip(&bare).any(waits) {
        return Suggestion::Example("it runs until somebody stops it");
    }
    let by_hand = |(command, words): (&Command, &Vec<&str>)| !command.fed && needs_a_person(words);
    let piped = all.iter().zip(&bare);
    if piped.clone().any(by_hand) {
        let alone = piped.clone().all(|(command, words)| {
            words.is_empty() || by_hand((command, words)) || only_looks(command) || words[0] == "cd"
        });
        let likely = if alone { Likely::Manual } else { Likely::Split };
        return left(likely, "it needs somebody at a terminal: `text manual`");
    }
    if managers(&bare) > 1 {
        return left(
            Likely::Split,
            "it has commands for several systems: split it",
        );
    }
    if all
        .iter()
        .all(|command| unwrapped(&command.words).is_empty() && !command.writes)
    {
        return left(Likely::File, "it only sets variables: settings of a file");
    }
    if all.iter().all(only_looks) {
        return Suggestion::Check;
    }
    let names = |words: &&Vec<&str>| !words.is_empty() && !is_keyword(words[0]);
    let acts = all
        .iter()
        .zip(&bare)
        .filter(|(command, _)| !only_looks(command));
    let mut acts = acts.filter(|(_, words)| names(words));
    match acts.next() {
        Some((_, words)) if changes(words) && seems_to_look(words) && acts.next().is_none() => {
            left(
                Likely::Check,
                format!(
                    "it seems to be a check, but it is unclear what `{}` does",
                    words[0]
                ),
            )
        }
        Some((command, words)) if changes(words) || command.writes && looks(words) => {
            Suggestion::Step
        }
        Some((_, words)) if words[0].starts_with(['/', '.', '$', '~']) => Suggestion::Step,
        Some((_, words)) => {
            let likely = if seems_to_look(words) && acts.all(|(_, words)| seems_to_look(words)) {
                Likely::Check
            } else {
                Likely::Step
            };
            left(likely, format!("it is unclear what `{}` does", words[0]))
        }
        None => left(Likely::Step, "it has no command"),
    }
}

/// Whether a command and its nested commands only read.
fn only_looks(command: &Command) -> bool {
    let words = unwrapped(&command.words);
    let assigns = words.is_empty() && !command.words.is_empty();
    let before = &command.words[..command.words.len() - words.len().min(command.words.len())];
    !command.writes
        && !before.iter().any(|word| steers(word))
        && (assigns || looks(&words))
        && command
            .holds
            .iter()
            .all(|inner| commands(inner).is_some_and(|inner| inner.iter().all(only_looks)))
}

/// An assignment that affects other commands: where programs are found, what is loaded into them,
/// what they start, and their options.
fn steers(word: &str) -> bool {
    const NAMES: &str = "PATH IFS ENV BASH_ENV LESSOPEN LESSCLOSE RUBYOPT NODE_OPTIONS PS4 SHELLOPTS BASHOPTS \
        PROMPT_COMMAND KUBECONFIG DOCKER_CONFIG CDPATH";
    let Some((name, value)) = word.split_once('=') else {
        return false;
    };
    NAMES.split_whitespace().any(|known| known == name)
        || ["LD_", "GIT_", "PERL", "PYTHON", "DYLD_"]
            .iter()
            .any(|start| name.starts_with(start))
        || ["PAGER", "EDITOR", "BROWSER", "_OPTS", "_OPTIONS"]
            .iter()
            .any(|end| name.ends_with(end))
        || value.starts_with('-')
        || value.contains(" -")
}

fn is_keyword(word: &str) -> bool {
    [
        "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac",
        "in", "{", "}", "!",
    ]
    .contains(&word)
}

/// The command without its wrappers: assignments, `sudo -u postgres`, `env A=b`, `timeout 5`. A
/// wrapper that may hide a command in an argument stays and counts as unknown.
fn unwrapped(words: &[String]) -> Vec<&str> {
    let mut rest: Vec<&str> = words.iter().map(String::as_str).collect();
    loop {
        let Some(first) = rest.first().copied() else {
            return rest;
        };
        let assigns = first.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        });
        let program = tool(first).unwrap_or(first);
        let options = |with: &[&str]| {
            let mut at = 1;
            while at < rest.len() && rest[at].starts_with('-') {
                at += if with.contains(&rest[at]) { 2 } else { 1 };
            }
            at
        };
        let skip = match program {
            _ if assigns
                || (is_keyword(first)
                    && [
                        "if", "then", "else", "elif", "while", "until", "do", "!", "{",
                    ]
                    .contains(&first)) =>
            {
                1
            }
            // A root shell is an interactive session.
            "sudo" | "doas" if rest.len() == 2 && rest[1].starts_with('-') => return rest,
            "sudo" | "doas" => options(&["-u", "-g", "-h", "-p", "-C", "-r", "-t"]),
            "env" if rest.len() > 1 => options(&["-u", "-C"]),
            "time" | "nohup" | "exec" | "builtin" | "command"
                if rest.len() > 1 && !rest[1].starts_with('-') =>
            {
                1
            }
            "nice" => options(&["-n"]),
            "timeout" => options(&["-s", "-k"]) + 1,
            "stdbuf" => options(&["-o", "-i", "-e"]),
            _ => return rest,
        };
        rest.drain(..skip.min(rest.len()));
    }
}

fn managers(bare: &[Vec<&str>]) -> usize {
    let families: [&[&str]; 6] = [
        &["apt", "apt-get", "dpkg"],
        &["yum", "dnf", "rpm"],
        &["zypper"],
        &["apk"],
        &["pacman"],
        &["brew"],
    ];
    let has = |family: &&&[&str]| {
        bare.iter()
            .any(|words| words.first().is_some_and(|word| family.contains(word)))
    };
    families.iter().filter(has).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commands that change something, in the forms that people write.
    const CHANGING: &[&str] = &[
        "rm -rf /srv/x",
        "rm file",
        "mv a b",
        "cp a b",
        "mkdir -p /srv",
        "touch x",
        "ln -s a b",
        "chmod 0600 x",
        "chown root x",
        "install -m 0644 a b",
        "dd if=/dev/zero of=x",
        "truncate -s 0 x",
        "tee /etc/x",
        "rsync -a a b",
        "scp a b:c",
        "apt-get install -y nginx",
        "apt upgrade",
        "yum update",
        "dnf remove x",
        "apk add x",
        "pip install x",
        "npm install",
        "useradd x",
        "passwd x",
        "systemctl restart x",
        "systemctl stop x",
        "systemctl enable --now x",
        "systemctl daemon-reload",
        "systemctl --user start x",
        "systemctl mask x",
        "systemctl edit x",
        "systemctl kill x",
        "systemctl set-default multi-user.target",
        "systemctl isolate rescue",
        "service x restart",
        "mount /dev/sda1 /mnt",
        "umount /mnt",
        "mkfs.ext4 /dev/sdb",
        "fdisk /dev/sdb",
        "lvextend -L +1G x",
        "resize2fs /dev/x",
        "swapoff -a",
        "kill -9 1",
        "pkill x",
        "reboot",
        "shutdown -h now",
        "iptables -A INPUT -j DROP",
        "iptables -F",
        "iptables -L -Z",
        "nft add rule x",
        "nft flush ruleset",
        "sysctl -w a=1",
        "sysctl a=1",
        "sysctl -p",
        "modprobe x",
        "docker run x",
        "docker rm x",
        "docker exec c rm x",
        "docker compose up -d",
        "docker system prune",
        "docker stop x",
        "kubectl apply -f x",
        "kubectl delete pod x",
        "kubectl exec p -- rm x",
        "kubectl scale x",
        "kubectl -n a rollout restart x",
        "kubectl cluster-info dump --output-directory=x",
        "kubectl config set-context x",
        "oc delete x",
        "helm upgrade x y",
        "git pull",
        "git checkout x",
        "git commit -m x",
        "git branch -D x",
        "git diff --output=x",
        "git config a b",
        "git reset --hard",
        "tar -xf x",
        "unzip x",
        "gzip x",
        "wget x",
        "curl -O x",
        "curl -o f x",
        "curl -X POST x",
        "curl -d a x",
        "curl --data a x",
        "curl -T f x",
        "curl -sSLo f x",
        "curl --output-dir d -O x",
        "curl -K config",
        "sed -i s/a/b/ x",
        "sed 'w out' x",
        "sed 's/a/b/w out' x",
        "sed '1e rm x' y",
        "perl -pi -e x y",
        "awk '{print > \"x\"}' y",
        "awk 'BEGIN {system(\"rm x\")}'",
        "awk -i inplace x y",
        "awk '{print | \"sh\"}' x",
        "find . -delete",
        "find . -exec rm {} +",
        "find . -fprint x",
        "xargs rm",
        "sort -o x x",
        "sort --output=x x",
        "sort -uo x x",
        "uniq a b",
        "xxd -r a b",
        "tail -f x",
        "date -s now",
        "date 010203042020",
        "hostname x",
        "hostname -F f",
        "journalctl --vacuum-size=1G",
        "journalctl --rotate",
        "dmesg -C",
        "dmesg -c",
        "ip addr add 1 dev x",
        "ip link set x down",
        "ip route del x",
        "ip netns exec a rm x",
        "crontab -r",
        "psql -c 'drop table x'",
        "mysql -e x",
        "redis-cli flushall",
        "etcdctl del x",
        "etcdctl put a b",
        "openssl genrsa -out x",
        "openssl x509 -in a -out b",
        "openssl x509 -req -in a -signkey b",
        "ssh-keygen -t ed25519",
        "certbot renew",
        "bash script.sh",
        "sh -c 'rm x'",
        "eval rm x",
        "source x",
        ". x",
        "python3 x.py",
        "make install",
        "terraform apply",
        "ansible-playbook x",
        "nginx -s reload",
        "nginx",
        "apachectl graceful",
        "haproxy -D",
        "postconf -e a=b",
        "rpm -e x",
        "rpm -i x",
        "dpkg -i x",
        "dpkg --purge x",
        "snap install x",
        "zpool destroy x",
        "zfs snapshot x",
        "vault write x",
        "vault kv put a b",
        "consul kv put a b",
        "rabbitmqctl delete_queue x",
        "chronyc makestep",
        "ufw enable",
        "timedatectl set-time x",
        "hostnamectl set-hostname x",
        "nvidia-smi -r",
        "ss -K dst x",
        "needrestart -r a",
        "ping x",
        "watch ls",
        "lastlog -C -u x",
        "command rm x",
        "exec rm x",
        "nohup rm x",
        "rg --pre sh x",
        "diff --output=x a b",
        "./x --version; rm y",
        "$CMD x",
        "$(echo rm) x",
        "env -S 'rm x'",
        "mount -a",
        "export A=b; rm x",
        "getent x > /etc/x",
        "echo x > /etc/x",
        "echo x >> /etc/x",
        "cat a | tee b",
        "ls | xargs rm",
        "cat <(rm x)",
        "echo `rm x`",
        "echo \"$(rm x)\"",
        "true && rm x",
        "false || rm x",
        "if true; then rm x; fi",
        "for i in a; do rm $i; done",
        "(rm x)",
        "{ rm x; }",
        "ls &> x",
        "ls 2> x",
        "ls >| x",
        "timeout 5 rm x",
        "f() { rm x; }; f",
        "ls\nrm x",
        "ls # \nrm x",
        "cat > x <<E\na\nE",
        // Changes that look like reading.
        "sh <<E\nrm x\nE",
        "cat <<E | sh\nrm x\nE",
        "cat <<E\n$(rm x)\nE",
        "cat <<'E'\nE\nrm x",
        "cat <<-E\n\tE\nrm x",
        "ls <<< \"$(rm x)\"",
        "./ls",
        "/tmp/cat x",
        "../bin/ls",
        "./sudo ls",
        "command -p rm -v x",
        "PATH=. ls",
        "LD_PRELOAD=./x.so ls",
        "GIT_PAGER='rm x' git log",
        "PAGER=./x systemctl status y",
        "X=-delete; find /srv $X",
        "X='a -delete'\nfind $X",
        "IFS=x; ls",
        "BASH_ENV=x ls",
        "echo $'\\'' ; rm x #'",
        "echo `echo \\`rm x\\``",
        "echo \"`echo \\`rm x\\``\"",
        "test -v 'a[$(rm x)]'",
        "[ -v 'a[$(rm x)]' ]",
        "printf -v 'a[$(rm x)]' y",
        "x='$(rm y)'; echo ${x@P}",
        "ip -b file",
        "ip -batch file",
        "ip -n other link",
        "hostname -bF/etc/x",
        "date -us2020-01-01",
        "dmesg -Tc",
        "dmesg -Tw",
        "sysctl -f",
        "sysctl -ep x",
        "journalctl --cursor-file=x",
        "curl -w '%output{x}' y",
        "openssl rand -out x 3",
        "openssl s_client -msgfile x y",
        "openssl x509 -engine x",
        "rpm -qa --pipe 'rm x'",
        "rpm -q --eval '%(rm x)'",
        "rpm -q --qf '%(rm x)' y",
        "nft list -f x",
        "xxd a b",
        "ss -tK",
        "file -bC x",
        "blkid -g",
        "rg --hostname-bin=x y",
        "tree -o x",
        "tree -ao x",
        "git diff --output x",
        "git ls-remote --upload-pack='rm x' y",
        "git -c core.pager=x log",
        "git --git-dir=x status",
        "dpkg --status-logger='rm x' -l",
        "dpkg -l --post-invoke='rm x'",
        "nginx -t -g 'error_log x;'",
        "apt-cache gencaches",
        "apt-cache -o Dir::Cache=x policy y",
        "apt list -o x=y",
        "sed -n $X y",
        "gawk '@load \"x\"' y",
        "virsh destroy x",
        "redis-cli -x set a",
        "redis-cli INFO > x",
        "redis-cli FLUSHALL",
        "docker compose down",
        "docker compose exec a rm x",
        "mdadm --stop x",
        "openssl req -newkey rsa:2048 -keyout x",
        "$ ls\n$ rm x",
        "$ ls \\\n; rm x",
        "$ ls\nx\n$ rm x",
        "# ls\n# rm x",
        "root@a:~# ls\nroot@a:~# rm x",
        "ls &\nrm x",
        "ls || rm x",
        "ls |& rm x",
        "ls \\\n&& rm x",
        "ls\\\nrm",
        "function ls { rm x; }\nls",
        "alias ls='rm x'\nls",
        "ls <(rm x)",
        "ls \"${x:-$(rm y)}\"",
        "echo $((a[$(rm x)]))",
        "case x in x) rm y;; esac",
        "while ls; do rm x; done",
        "until ls; do rm x; done",
        "[[ -f x ]] && rm x",
        "kubectl get pods --kubeconfig x -o json | kubectl apply -f -",
        "tar -tf x --to-command='rm y'",
        "gpg -K",
    ];

    #[test]
    fn what_changes_something_is_never_called_a_check() {
        let wrappers = [
            "@",
            "sudo @",
            "sudo -u postgres @",
            "FOO=1 @",
            "env FOO=1 @",
            "time @",
            "nice -n 5 @",
            "timeout 5 @",
            "ls; @",
            "ls && @",
            "ls | @",
            "echo a\n@",
            "stdbuf -oL @",
        ];
        for changing in CHANGING {
            // After other words, a prompt is not one.
            let prompt = |line: &str| {
                ["# ", "$ ", "root@"]
                    .iter()
                    .any(|start| line.starts_with(start))
            };
            if changing.lines().any(prompt) {
                assert_ne!(judge(changing), Suggestion::Check, "{changing}");
                continue;
            }
            for wrapper in wrappers {
                let script = wrapper.replace('@', changing);
                assert_ne!(judge(&script), Suggestion::Check, "{script}");
            }
            for held in [
                format!("echo \"$({changing})\""),
                format!("xargs {changing}"),
                format!("sh -c '{changing}'"),
            ] {
                assert_ne!(judge(&held), Suggestion::Check, "{held}");
            }
        }
    }

    #[test]
    fn what_people_write_is_what_it_looks_like() {
        use Suggestion::{Check, Step};
        let table: &[(&str, Suggestion)] = &[
            ("systemctl is-active nginx", Check),
            ("sudo systemctl status nginx --no-pager", Check),
            ("kubectl -n monitoring get pods -o wide", Check),
            ("oc get nodes -o json | jq '.items[].status'", Check),
            ("ss -tlnp | grep :443", Check),
            ("df -h /var\nfree -m", Check),
            ("curl -fsS http://localhost:8080/healthz", Check),
            (
                "journalctl -u nginx --since '1 hour ago' | tail -n 50",
                Check,
            ),
            ("sudo nginx -t", Check),
            ("git log --oneline -5", Check),
            ("ps aux | grep '[n]ginx' > /dev/null", Check),
            ("test -f /etc/x && echo yes", Check),
            ("ip -br addr show", Check),
            ("openssl x509 -in cert.pem -noout -enddate", Check),
            ("apt-cache policy nginx", Check),
            ("find /var/log -name '*.gz' -mtime +7", Check),
            ("sudo systemctl restart nginx", Step),
            ("apt-get update\napt-get install -y nginx", Step),
            ("cp a b && chmod 0600 b", Step),
            ("/opt/app/bin/migrate", Step),
            ("for i in 1 2; do systemctl restart app@$i; done", Step),
        ];
        for (script, expected) in table {
            assert_eq!(judge(script), *expected, "{script}");
        }
        for (script, part) in [
            ("tail -f /var/log/x", "Example"),
            ("# only words", "Example"),
            ("2026-01-01 10:00:00 started", "Example"),
            ("watch kubectl get pods", "Example"),
            ("vim /etc/x", "terminal"),
            ("psql -U postgres", "terminal"),
            ("kubectl exec -it pod -- bash", "terminal"),
            ("ssh web1", "terminal"),
            ("kubectl delete pod <pod name>", "placeholder `<pod name>`"),
            ("apt install x\nyum install x", "several systems"),
            ("frobnicate --all", "it is unclear what `frobnicate` does"),
            ("#!/bin/sh\nrm x", "a file"),
        ] {
            let said = format!("{:?}", judge(script)).replace("\\\"", "\"");
            assert!(said.contains(part), "{script}: {said}");
        }
    }
}
