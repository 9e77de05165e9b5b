//! What a block is, by its text alone.

use std::sync::LazyLock;

use regex::Regex;

use crate::commands::{changes, looks, needs_a_person, never_ends};
use crate::words::{Command, commands};

/// What a block seems to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suggestion {
    /// It only looks.
    Check,
    /// It changes something.
    Step,
    /// It is shown, and never run; why.
    Example(&'static str),
    /// Somebody has to say what it is; why.
    Left(String),
}

/// What a shell block is. `prompts` are stripped by whoever calls: only commands are here.
#[must_use]
pub fn judge(script: &str) -> Suggestion {
    static STAMP: LazyLock<Regex> = LazyLock::new(|| {
        #[allow(clippy::expect_used, reason = "a constant pattern")]
        Regex::new(r"^\s*(\[?\d{4}-\d\d-\d\d[T ]|\w{3} +\d+ \d\d:\d\d:\d\d|\d\d:\d\d:\d\d)")
            .expect("a constant pattern")
    });
    static OPEN: LazyLock<Regex> = LazyLock::new(|| {
        #[allow(clippy::expect_used, reason = "a constant pattern")]
        Regex::new(r"<[A-Za-z][A-Za-z0-9 _.-]*>|\bYOUR[_-][A-Z_]+|%[a-z_]+%|\{\{.*\}\}|\bX{3,}\b|\.\.\. *$").expect("a constant pattern")
    });
    let code = script.lines().map(str::trim);
    let code: Vec<&str> = code
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    if code.is_empty() {
        return Suggestion::Example("there is no command in it");
    }
    if STAMP.is_match(code[0]) {
        return Suggestion::Example("it is a log");
    }
    if script.trim_start().starts_with("#!") {
        return Suggestion::Left("it is a file: `file to=/PATH mode=0755`?".to_owned());
    }
    if let Some(open) = OPEN.find(&code.join("\n")) {
        return Suggestion::Left(format!(
            "placeholder `{}`: a parameter?",
            open.as_str().trim()
        ));
    }
    let Some(all) = commands(script) else {
        return Suggestion::Left("its text cannot be cut into commands with certainty".to_owned());
    };
    let bare: Vec<Vec<&str>> = all
        .iter()
        .map(|command| unwrapped(&command.words))
        .collect();
    if bare.iter().any(|words| never_ends(words)) {
        return Suggestion::Example("it goes on until somebody stops it");
    }
    if bare.iter().any(|words| needs_a_person(words)) {
        return Suggestion::Left("it needs somebody at a terminal: `text manual`?".to_owned());
    }
    if managers(&bare) > 1 {
        return Suggestion::Left("it has commands for several systems: split it".to_owned());
    }
    if all.iter().all(only_looks) {
        return Suggestion::Check;
    }
    let names = |words: &&Vec<&str>| !words.is_empty() && !is_keyword(words[0]);
    match bare.iter().find(names) {
        Some(words) if changes(words) => Suggestion::Step,
        Some(words) if words[0].starts_with(['/', '.', '$']) => Suggestion::Step,
        Some(words) => Suggestion::Left(format!("what `{}` does is not known here", words[0])),
        None => Suggestion::Left("it has no command of its own".to_owned()),
    }
}

/// Commands, and all that they hold, only look.
fn only_looks(command: &Command) -> bool {
    let words = unwrapped(&command.words);
    let assigns = words.is_empty() && !command.words.is_empty();
    !command.writes
        && (assigns || looks(&words))
        && command
            .holds
            .iter()
            .all(|inner| commands(inner).is_some_and(|inner| inner.iter().all(only_looks)))
}

fn is_keyword(word: &str) -> bool {
    [
        "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac",
        "in", "{", "}", "!",
    ]
    .contains(&word)
}

/// The command behind what only says how it is run: assignments, `sudo -u postgres`, `env A=b`,
/// `timeout 5`. What may hide a command in an argument stays as it is, and is then not known.
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
        let program = first.rsplit('/').next().unwrap_or(first);
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
            // A shell as root is somebody's terminal.
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

    /// Commands that change something, in the shapes that people write.
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
            ("frobnicate --all", "`frobnicate` does is not known"),
            ("#!/bin/sh\nrm x", "a file"),
        ] {
            let said = format!("{:?}", judge(script));
            assert!(said.contains(part), "{script}: {said}");
        }
    }
}
