//! Commands that run until a person stops them.

use super::Finding::{self, NeverEnds};
use super::options::Call;
use super::tables;

const LIMIT: &str = "write `timeout 30s` before it, or read once";

/// Finds commands that run until a person stops them.
pub(super) fn never_ends(call: &Call<'_>) -> Option<Finding> {
    if call.is_limited || call.command.background || is_ended_by_its_reader(call) {
        return None;
    }
    let long = |names: &[&str]| call.any_long(names);
    let follows = |letters: &str| {
        let after = call.after_verb().iter();
        let cluster = |word: &&String| word.starts_with('-') && !word.starts_with("--");
        after
            .filter(cluster)
            .any(|word| word.contains(|c| letters.contains(c)))
            || long(&["follow", "watch"])
    };
    if let Some(finding) = tables::first(tables::ENDLESS, call) {
        return Some(finding);
    }
    match (call.name(), call.verb()) {
        ("vmstat" | "iostat" | "mpstat" | "pidstat" | "sar", _) => {
            let numbers = call.operands("puUCGtTfo").into_iter();
            let numbers = numbers.filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
            (numbers.count() == 1).then_some(NeverEnds("add a count: `vmstat 1 5`"))
        }
        ("tail", _) => {
            let follow = call.any_short("fF", "cns") || long(&["follow"]);
            (follow && !long(&["pid"])).then_some(NeverEnds(LIMIT))
        }
        ("journalctl" | "dmesg", _) => {
            let follow = match call.name() {
                "dmesg" => call.any_short("wW", ""),
                _ => call.any_short("f", "bcDgnopStuU"),
            };
            (follow || long(&["follow"])).then_some(NeverEnds(LIMIT))
        }
        ("watch", _) => (!call.any_short("ge", "n") && !long(&["chgexit", "errexit"])).then_some(
            NeverEnds("use `eventually=60s` on a check, or `timeout 30s`"),
        ),
        ("top", _) => (!call.any_short("b", "dpuUo") || !call.any_short("n", "dpuUo"))
            .then_some(NeverEnds("write `top -b -n 1`")),
        ("htop" | "atop" | "iotop" | "btop" | "nload" | "iftop" | "nethogs" | "glances", _) => {
            (!call.any_short("bt", "d")).then_some(NeverEnds("write `top -b -n 1`"))
        }
        ("ping" | "ping6", _) => {
            (!call.any_short("cwV", "iIlmMpQsStTW")).then_some(NeverEnds("write `-c 3`"))
        }
        ("kubectl" | "docker" | "podman" | "oc", "logs") if follows("f") => {
            Some(NeverEnds("leave out `-f`"))
        }
        ("kubectl" | "oc", "get") if follows("w") => Some(NeverEnds("write `kubectl wait`")),
        ("kubectl" | "oc", "port-forward" | "proxy") => Some(NeverEnds(
            "run it in the background, and end it in the same step",
        )),
        ("docker" | "podman", "attach" | "events" | "stats") if !call.has("--no-stream") => {
            Some(NeverEnds(LIMIT))
        }
        ("docker" | "podman", "compose") | ("docker-compose", _) => {
            let up = call.has("up")
                && !call.any_short("d", "fp")
                && !long(&["detach", "abort-on-container-exit", "wait", "no-start"]);
            let logs = call.has("logs")
                && call
                    .after_verb()
                    .iter()
                    .any(|word| word == "-f" || word == "--follow");
            (up || logs).then_some(NeverEnds("write `up -d`, and `logs` without `-f`"))
        }
        ("tcpdump" | "tshark", _) => {
            (!call.any_short("crDGV", "ijswTty")).then_some(NeverEnds("write `-c 10`"))
        }
        ("inotifywait", _) => call.any_short("m", "ert").then_some(NeverEnds(LIMIT)),
        ("sleep", "infinity" | "inf") | ("yes", _) => Some(NeverEnds(LIMIT)),
        ("python3" | "python", _) if call.has("http.server") => {
            Some(NeverEnds("run it in the background, or as a service"))
        }
        _ => None,
    }
}

/// `tail -f log | grep -m 1 ready` ends when grep finds a match.
fn is_ended_by_its_reader(call: &Call<'_>) -> bool {
    const GO_ON: [&str; 9] = [
        "grep", "tee", "cat", "cut", "tr", "sort", "uniq", "wc", "jq",
    ];
    call.command.readers.iter().any(|reader| {
        let name = reader.first().map_or("", String::as_str);
        let stops = |word: &String| {
            word.starts_with("-m")
                || word.starts_with("-q")
                || word.starts_with("--max-count")
                || word == "--quiet"
        };
        !GO_ON.contains(&name) || name == "grep" && reader.iter().any(stops)
    })
}
