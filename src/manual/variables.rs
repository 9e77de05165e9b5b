//! The variables of a script: which it mentions, which it sets itself, which it exports.
//! Only names of opsbook's kind count: `[a-z][a-z0-9_]*`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::manual::attributes;
use crate::manual::script::is_shell;
use crate::manual::shell::{Scan, scan};

/// The names in one script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// Each with the place of its first mention in the text.
    pub mentioned: BTreeMap<String, Range<usize>>,
    pub assigned: BTreeSet<String>,
    pub exported: BTreeSet<String>,
    /// Everything that it sets, also `NODE_NAME` and its kind: what the next step may use.
    pub kept: BTreeSet<String>,
    /// It may set names that cannot be seen: by `eval`, `.` or `source`.
    pub opaque: bool,
}

/// Reads the names in a script. For a shell these are its parameters; elsewhere, what looks
/// like a look-up in the environment.
#[must_use]
pub fn variables(text: &str, interpreter: &str) -> Variables {
    if is_shell(interpreter) {
        of_shell(text)
    } else {
        of_environment(text)
    }
}

fn of_environment(text: &str) -> Variables {
    static LOOK_UP: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"(?:environ(?:\.get)?|getenv|ENV(?:\.fetch)?|process\.env)\s*[\[({.]\s*["']?([a-z][a-z0-9_]*)"#,
        )
        .expect("a constant pattern")
    });
    let mut found = Variables::default();
    for name in LOOK_UP.captures_iter(text).filter_map(|found| found.get(1)) {
        found
            .mentioned
            .entry(name.as_str().to_owned())
            .or_insert(name.range());
    }
    found
}

fn of_shell(text: &str) -> Variables {
    let scan = scan(text);
    let mut found = Variables::default();
    for mention in &scan.mentions {
        let name = &text[mention.name.clone()];
        if mention.assigns {
            found.assign(name);
        }
        found.mention(name, mention.name.clone());
    }
    commands(text, &scan, &mut found);
    found
}

/// Words that may stand before a command.
const RESERVED: [&str; 12] = [
    "if", "then", "else", "elif", "while", "until", "do", "{", "!", "time", "}", "coproc",
];

fn commands(text: &str, scan: &Scan, found: &mut Variables) {
    for command in &scan.commands {
        let words: Vec<(&str, Range<usize>)> = command
            .iter()
            .map(|word| (&text[word.clone()], word.clone()))
            .collect();
        // `f() { local x`, `function f { local x`
        let body = words.iter().take(3).position(|(word, _)| *word == "{");
        let body = body.map_or(0, |at| at + 1);
        let reserved = words[body..]
            .iter()
            .take_while(|(word, _)| RESERVED.contains(word))
            .count();
        let start = body + reserved;
        simple(&words[start..], found);
    }
}

fn simple(words: &[(&str, Range<usize>)], found: &mut Variables) {
    let assignments = words
        .iter()
        .take_while(|(word, _)| assigned_name(word).is_some())
        .count();
    let rest = &words[assignments..];
    let Some((name, _)) = rest.first() else {
        // Before a command, an assignment is that command's alone.
        for (word, _) in words {
            found.assign(assigned_name(word).unwrap_or_default());
        }
        return;
    };
    let arguments = &rest[1..];
    match *name {
        "for" | "select" => {
            if let Some((name, _)) = arguments.first() {
                found.assign(name);
            }
        }
        "export" => declare(arguments, true, true, found),
        "declare" | "typeset" | "local" | "readonly" => {
            let export = arguments.iter().any(|(word, _)| is_option(word, 'x'));
            declare(arguments, export, false, found);
        }
        "read" => names(
            arguments,
            &["-p", "-d", "-n", "-N", "-t", "-u", "-i"],
            found,
        ),
        "mapfile" | "readarray" => {
            names(
                arguments,
                &["-d", "-n", "-O", "-s", "-u", "-C", "-c"],
                found,
            );
        }
        "unset" => names(arguments, &[], found),
        "getopts" => {
            if let Some((name, _)) = arguments.get(1) {
                found.assign(name);
            }
        }
        "printf" | "wait" => after(
            arguments,
            if *name == "printf" { "-v" } else { "-p" },
            found,
        ),
        "let" => {
            for (word, _) in arguments {
                let name: String = word
                    .trim_matches(['"', '\''])
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                found.assign(&name);
            }
        }
        "eval" | "." | "source" => found.opaque = true,
        // `builtin read x`, `command export x`
        "command" | "builtin" => simple(arguments, found),
        _ => {}
    }
}

/// `export a=1 b`: `a` is set; `b` is given on as it is, so that it must be known.
fn declare(words: &[(&str, Range<usize>)], export: bool, uses: bool, found: &mut Variables) {
    for (word, range) in words
        .iter()
        .filter(|(word, _)| !word.starts_with(['-', '+']))
    {
        let name = match assigned_name(word) {
            Some(name) => {
                found.assign(name);
                name
            }
            None if uses => {
                found.mention(word, range.clone());
                word
            }
            None => {
                found.assign(word);
                word
            }
        };
        if export && is_name(name) {
            found.exported.insert(name.to_owned());
        }
    }
}

/// Arguments that are names; some options take the next word.
fn names(words: &[(&str, Range<usize>)], with_value: &[&str], found: &mut Variables) {
    let mut rest = words.iter();
    while let Some((word, _)) = rest.next() {
        if with_value.contains(word) {
            rest.next();
        } else if !word.starts_with('-') {
            found.assign(word);
        }
    }
}

fn after(words: &[(&str, Range<usize>)], option: &str, found: &mut Variables) {
    let at = words.iter().position(|(word, _)| *word == option);
    if let Some((name, _)) = at.and_then(|at| words.get(at + 1)) {
        found.assign(name);
    }
}

fn is_option(word: &str, letter: char) -> bool {
    word.starts_with('-') && !word.starts_with("--") && word.contains(letter)
}

/// `x` of `x=1`, `x+=1` and `x[2]=1`.
fn assigned_name(word: &str) -> Option<&str> {
    let length = word
        .bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
        .count();
    let (name, rest) = word.split_at(length);
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let rest = match rest.strip_prefix('[') {
        Some(index) => index.split_once(']').map_or("", |(_, rest)| rest),
        None => rest,
    };
    (starts_well && (rest.starts_with('=') || rest.starts_with("+="))).then_some(name)
}

fn is_name(name: &str) -> bool {
    attributes::name(name).is_ok()
}

impl Variables {
    fn assign(&mut self, name: &str) {
        // A word may hold anything: only a name reaches a shell again.
        let identifier = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if identifier && !matches!(name, "PWD" | "OLDPWD" | "_" | "PPID" | "IFS") {
            self.kept.insert(name.to_owned());
        }
        if is_name(name) {
            self.assigned.insert(name.to_owned());
        }
    }

    fn mention(&mut self, name: &str, range: Range<usize>) {
        if is_name(name) {
            self.mentioned.entry(name.to_owned()).or_insert(range);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `mentioned | assigned | exported`
    fn of(text: &str) -> String {
        let found = variables(text, "sh");
        let list = |names: Vec<&String>| {
            let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
            names.join(" ")
        };
        format!(
            "{} | {} | {}",
            list(found.mentioned.keys().collect()),
            list(found.assigned.iter().collect()),
            list(found.exported.iter().collect())
        )
    }

    #[test]
    fn names_are_seen_where_the_shell_would_see_them() {
        for (text, names) in [
            ("echo $x", "x |  | "),
            ("echo \"$x\" ${y}", "x y |  | "),
            ("echo '$x' \\$y \"\\$z\"", " |  | "),
            (
                "echo ${x:-$y} ${#z} ${!w} ${a[1]} ${b%.*} ${c//d/$e}",
                "a b c e w x y z |  | ",
            ),
            ("echo $PATH $Mixed $1 $@ $$", " |  | "),
            (": \"${x:=1}\" ${y=2}", "x y | x y | "),
            ("x=1 y=$x", "x | x y | "),
            ("x=1 cmd", " |  | "),
            ("if x=$(cmd); then :; fi", " | x | "),
            (
                "rev=$(echo \"$(etcdctl $flags)\" | cut -d: -f1)",
                "flags | rev | ",
            ),
            ("echo `cat $f`", "f |  | "),
            ("for i in $list; do echo $i; done", "i list | i | "),
            ("while read -r -p 'x y' a b; do :; done <f", " | a b | "),
            (
                "read -r a <\"${f%.j}.p\" b 2> c 3>&1 4<>d; <e read g",
                "f | a b g | ",
            ),
            ("IFS=: read -r a b", " | a b | "),
            (
                "export a=1 b; readonly c=2; local d; declare -x e=$f",
                "b f | a c d e | a b e",
            ),
            (
                "getopts ab: opt; printf -v out '%s' x; mapfile -t rows; unset gone",
                " | gone opt out rows | ",
            ),
            (
                "echo $((x + 16#ff)) $((y=2)); (( z += 1 )); ((n == 1))",
                "n x y z | y z | ",
            ),
            ("cat <<E\n$x \\$y ${z}\nE\necho $w", "w x z |  | "),
            ("cat <<'E'\n$x\nE\necho $w", "w |  | "),
            ("cat <<-\\E\n\t$x\n\tE\necho $w", "w |  | "),
            ("cat <<A <<B\n$a\nA\n$b\nB\n$c", "a b c |  | "),
            ("cat <<A\n$(cat <<B\n$b\nB\n)\nA\necho $c", "b c |  | "),
            ("echo x#$y # $z\n#$w\necho $v", "v y |  | "),
            ("a=(1 $b) c+=2 d[0]=3", "b | a c d | "),
            (
                "x=$(case $y in a) z=1;; (b) echo;; esac); echo $w",
                "w y | x z | ",
            ),
            ("f() { local v=$1; echo $v; }; f", "v | v | "),
            ("echo $'it\\'s $x' $\"$y\"", "y |  | "),
            (
                "cat <<<$x; diff <(cat $a) >(cat $b) 2>&1 >$c",
                "a b c x |  | ",
            ),
            ("[[ $x =~ ^(a|b)$ ]] && echo $y", "x y |  | "),
            ("echo \"a ${x:-\"$y\"} b\" '\"$z\"'", "x y |  | "),
            ("echo \"${x:-it's}\" $y", "x y |  | "),
            ("echo \"unclosed $x", "x |  | "),
            ("echo ${unclosed", "unclosed |  | "),
            ("docker --format '{{.Names}}' \"${#a[@]}\"", "a |  | "),
            ("awk '{print $name}' \"$file\"", "file |  | "),
        ] {
            assert_eq!(of(text), names, "{text}");
        }
    }

    #[test]
    fn only_names_are_kept_for_the_next_step() {
        for (text, kept) in [
            ("read -r p < \"${f%.j}.p\"", "p"),
            ("read -r \"$1\" A '$(x)' b-c 2d", "A"),
            ("export PATH=/x _a=1; IFS=:; readonly \"$x\"", "PATH _a"),
            ("for i in 1 2; do unset 'a[1]' c; done", "c i"),
        ] {
            let found = variables(text, "sh");
            let names: Vec<&str> = found.kept.iter().map(String::as_str).collect();
            assert_eq!(names.join(" "), kept, "{text}");
        }
    }

    #[test]
    fn other_languages_name_the_environment() {
        let found = variables(
            "os.environ[\"version\"]; os.getenv('node'); x = y",
            "python3",
        );
        let names: Vec<&String> = found.mentioned.keys().collect();
        assert_eq!(names, ["node", "version"]);
        assert!(variables(". ./env", "sh").opaque);
    }
}
