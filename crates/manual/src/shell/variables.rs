//! The variables of a script: mentioned, assigned, exported. Only names of opsbook's form count:
//! `[a-z][a-z0-9_]*`. This is a heuristic, not a shell: a script that may set names invisibly is
//! called opaque.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::shell::scan::{Scan, Usage, scan};
use crate::shell::script::is_shell;

/// The names in one script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// Each with the place of its first mention.
    pub mentioned: BTreeMap<String, Range<usize>>,
    /// Those that may be unset: the script has a fallback.
    pub guarded: BTreeSet<String>,
    /// Names that it assigns.
    pub assigned: BTreeSet<String>,
    /// Names that it exports to its child processes.
    pub exported: BTreeSet<String>,
    /// Everything that it sets, also names like `NODE_NAME`: the next step can use them.
    pub kept: BTreeSet<String>,
    /// It may set unknown names: by `eval`, `.`, `source`, `read "$name"`.
    pub opaque: bool,
    /// Unset names are empty: `set +u`.
    pub lenient: bool,
}

/// Lower-case names that a login or an operating system may define.
const OF_THE_LOGIN: [&str; 5] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "all_proxy",
];

/// Finds the names in a script. For a shell these are its parameters; for other interpreters,
/// environment look-ups.
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
            r#"(environ\.get|environ|getenv|ENV\.fetch|ENV|process\.env)(?:\s*[\[({.]\s*["']?)([a-z][a-z0-9_]*)(["']?\s*\]\s*=[^=]|["']?\s*\))?"#,
        )
        .expect("a constant pattern")
    });
    let mut found = Variables::default();
    for look_up in LOOK_UP.captures_iter(text) {
        let (Some(how), Some(name)) = (look_up.get(1), look_up.get(2)) else {
            continue;
        };
        let after = look_up.get(3).map_or("", |after| after.as_str());
        if after.contains('=') {
            found.assign(name.as_str());
        }
        // Only these look-ups end the program if the name is missing.
        let needs = match how.as_str() {
            "environ" => true,
            "ENV.fetch" => after.ends_with(')'),
            _ => false,
        };
        let asked = [r#"" in os.environ"#, "' in os.environ"]
            .iter()
            .any(|end| text.contains(&format!("{}{end}", name.as_str())));
        if !needs || asked {
            found.guard(name.as_str());
        }
        found.mention(name.as_str(), name.range());
    }
    found
}

fn of_shell(text: &str) -> Variables {
    let mut found = Variables::default();
    for name in OF_THE_LOGIN {
        found.guard(name);
    }
    read_shell(text, 0, &mut found);
    found
}

/// Scans code; `base` is its offset in the script.
fn read_shell(text: &str, base: usize, found: &mut Variables) {
    let scan = scan(text);
    for mention in &scan.mentions {
        let name = &text[mention.name.clone()];
        match mention.usage {
            Usage::Sets => found.assign(name),
            Usage::Guards => found.guard(name),
            Usage::Needs => {}
        }
        found.mention(name, mention.name.start + base..mention.name.end + base);
    }
    commands(text, base, &scan, found);
}

/// Words that may stand before a command.
const RESERVED: [&str; 12] = [
    "if", "then", "else", "elif", "while", "until", "do", "{", "!", "time", "}", "coproc",
];

type Word<'t> = (&'t str, Range<usize>);

fn commands(text: &str, base: usize, scan: &Scan, found: &mut Variables) {
    let functions = functions(text, scan);
    for command in &scan.commands {
        let words: Vec<Word<'_>> = command
            .iter()
            .map(|word| {
                let place = word.start + base..word.end + base;
                (&text[word.clone()], place)
            })
            .collect();
        if let [("coproc", _), (name, _), ("{", _), ..] = &words[..] {
            found.assign(name);
        }
        // `f() { local x`, `function f { local x`
        let body = words.iter().take(3).position(|(word, _)| *word == "{");
        let body = body.map_or(0, |at| at + 1);
        let reserved = words[body..]
            .iter()
            .take_while(|(word, _)| RESERVED.contains(word))
            .count();
        let start = body + reserved;
        simple(&words[start..], &functions, found);
    }
}

/// The functions that a script defines.
fn functions<'t>(text: &'t str, scan: &Scan) -> BTreeSet<&'t str> {
    let mut functions = BTreeSet::new();
    for words in &scan.commands {
        let word = |at: usize| words.get(at).map(|word| &text[word.clone()]);
        let first = word(0).unwrap_or_default();
        let after = words.first().map_or("", |word| &text[word.end..]);
        if first == "function" {
            functions.extend(word(1).map(|name| name.trim_end_matches("()")));
        } else if let Some(name) = first.strip_suffix("()") {
            functions.insert(name);
        } else if after.trim_start_matches([' ', '\t']).starts_with("()") {
            functions.insert(first);
        }
    }
    functions
}

fn simple(words: &[Word<'_>], functions: &BTreeSet<&str>, found: &mut Variables) {
    /// An assignment before one of these commands persists.
    const SPECIAL: [&str; 11] = [
        ":", ".", "eval", "exec", "export", "readonly", "set", "shift", "trap", "unset", "return",
    ];
    let assignments = words
        .iter()
        .take_while(|(word, _)| assigned_name(word).is_some())
        .count();
    let (assigned, rest) = words.split_at(assignments);
    // An assignment before a command applies only to that command; a function sees it.
    let name = rest.first().map(|(name, _)| *name);
    if name.is_none_or(|name| SPECIAL.contains(&name) || functions.contains(name)) {
        for (word, _) in assigned {
            found.assign(assigned_name(word).unwrap_or_default());
        }
    }
    let Some(name) = name else { return };
    let arguments = &rest[1..];
    match name {
        // `builtin read x`, `command export x`
        "command" | "builtin" => simple(arguments, functions, found),
        "[[" | "[" | "test" => asked(arguments, found),
        "set" => found.lenient |= unsets_u(arguments),
        "eval" | "trap" => code(name, arguments, found),
        "." | "source" => found.opaque = true,
        _ => builtin(name, arguments, found),
    }
}

/// The commands that set variables by name.
fn builtin(name: &str, arguments: &[Word<'_>], found: &mut Variables) {
    match name {
        "for" | "select" => found.assign_word(arguments.first()),
        "export" => declare(arguments, true, true, found),
        "declare" | "typeset" | "local" | "readonly" => {
            let export = arguments.iter().any(|(word, _)| is_option(word, 'x'));
            declare(arguments, export, false, found);
        }
        "read" => names(arguments, "dinNptu", "a", found),
        "mapfile" | "readarray" => names(arguments, "dnOsuCc", "", found),
        "unset" => arguments.iter().for_each(|(word, _)| found.assign(word)),
        "getopts" => found.assign_word(arguments.get(1)),
        "printf" => after(arguments, "-v", found),
        "wait" => after(arguments, "-p", found),
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
        _ => {}
    }
}

/// `[[ -v x ]]` tests whether the name is set.
fn asked(words: &[Word<'_>], found: &mut Variables) {
    for pair in words.windows(2) {
        if pair[0].0 == "-v" {
            let name = unquoted(pair[1].0).split('[').next().unwrap_or_default();
            found.guard(name);
        }
    }
}

/// `set +u`, `set +eu`, `set +o nounset`
fn unsets_u(words: &[Word<'_>]) -> bool {
    let option = |word: &str| word.starts_with('+') && word.contains('u');
    words.iter().any(|(word, _)| option(word))
        || words
            .windows(2)
            .any(|pair| pair[0].0 == "+o" && pair[1].0 == "nounset")
}

/// Code in quotes: `trap 'rm "$x"' EXIT`, `eval 'x=1'`.
fn code(command: &str, words: &[Word<'_>], found: &mut Variables) {
    let Some((word, place)) = words.iter().find(|(word, _)| *word != "--") else {
        return;
    };
    found.opaque |= command == "eval";
    let inner = word
        .strip_prefix(['\'', '"'])
        .and_then(|word| word.strip_suffix(['\'', '"']));
    let Some(inner) = inner.filter(|inner| !inner.contains('\'')) else {
        return;
    };
    let mut inside = Variables::default();
    read_shell_once(inner, place.start + 1, &mut inside);
    // When it runs, other names may be set than now.
    for (name, place) in inside.mentioned {
        if !found.mentioned.contains_key(&name) {
            found.guard(&name);
            found.mention(&name, place);
        }
    }
    found.assigned.extend(inside.assigned);
    found.exported.extend(inside.exported);
    found.kept.extend(inside.kept);
    found.opaque |= inside.opaque;
}

/// Code within quoted code is not read: it could be nested very deeply.
fn read_shell_once(text: &str, base: usize, found: &mut Variables) {
    let scan = scan(text);
    for mention in &scan.mentions {
        let name = &text[mention.name.clone()];
        if mention.usage == Usage::Sets {
            found.assign(name);
        }
        found.mention(name, mention.name.start + base..mention.name.end + base);
    }
    let none = BTreeSet::new();
    for command in &scan.commands {
        let words = command
            .iter()
            .map(|word| (&text[word.clone()], word.clone()));
        let words: Vec<Word<'_>> = words
            .skip_while(|(word, _)| RESERVED.contains(word))
            .collect();
        match words.first() {
            Some(("eval" | "trap", _)) => found.opaque = true,
            _ => simple(&words, &none, found),
        }
    }
}

/// `export a=1 b`: sets `a`, and exports `b` if it is set.
fn declare(words: &[Word<'_>], export: bool, uses: bool, found: &mut Variables) {
    // `export -f f` and `declare -F` are about functions.
    let of_functions = |(word, _): &Word<'_>| is_option(word, 'f') || is_option(word, 'F');
    if words.iter().any(of_functions) {
        return;
    }
    let refers = words.iter().any(|(word, _)| is_option(word, 'n')) && !uses;
    for (word, range) in words
        .iter()
        .filter(|(word, _)| !word.starts_with(['-', '+']))
    {
        let word = word.trim_start_matches(['"', '\'']);
        let name = match assigned_name(word) {
            Some(name) => {
                found.assign(name);
                if refers {
                    // A name reference sets the variable that it names.
                    let to = word.split_once('=').map_or("", |(_, to)| to);
                    found.assign_text(to);
                }
                name
            }
            None if uses => {
                let name = unquoted(word);
                if is_dynamic(name) {
                    found.opaque = true;
                }
                if !found.mentioned.contains_key(name) {
                    found.guard(name);
                }
                found.mention(name, range.clone());
                name
            }
            None => {
                found.assign_text(word);
                word
            }
        };
        if export && is_name(name) {
            found.exported.insert(name.to_owned());
        }
    }
}

/// Arguments that are names. After an option in `with_value` the next word is a value, in
/// `with_name` a name.
fn names(words: &[Word<'_>], with_value: &str, with_name: &str, found: &mut Variables) {
    let mut rest = words.iter();
    let mut options = true;
    while let Some((word, _)) = rest.next() {
        let cluster = word.strip_prefix('-').filter(|_| options);
        let Some(cluster) = cluster else {
            options = false;
            found.assign_text(word);
            continue;
        };
        options = *word != "--";
        let takes = |c: char| with_value.contains(c) || with_name.contains(c);
        let Some((at, letter)) = cluster.char_indices().find(|(_, c)| takes(*c)) else {
            continue;
        };
        let joined = &cluster[at + letter.len_utf8()..];
        let value = if joined.is_empty() {
            rest.next().map_or("", |(word, _)| word)
        } else {
            joined
        };
        if with_name.contains(letter) {
            found.assign_text(value);
        }
    }
}

/// `-v name` and `-vname`
fn after(words: &[Word<'_>], option: &str, found: &mut Variables) {
    let options = words.iter().take_while(|(word, _)| word.starts_with('-'));
    let at = options
        .into_iter()
        .position(|(word, _)| word.starts_with(option));
    let Some(at) = at else { return };
    match words[at].0.strip_prefix(option) {
        Some("") => found.assign_word(words.get(at + 1)),
        Some(name) => found.assign_text(name),
        None => {}
    }
}

fn unquoted(word: &str) -> &str {
    word.trim_matches(['"', '\''])
}

/// Whether the shell computes the word at run time.
fn is_dynamic(word: &str) -> bool {
    word.contains(['$', '`'])
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

/// Validates a variable name.
pub(crate) fn name(value: &str) -> Result<String, String> {
    let bytes = value.as_bytes();
    let good = bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_');
    if good {
        Ok(value.to_owned())
    } else {
        Err(format!(
            "`{value}` is not a name: lower-case letters, digits and `_`, a letter first"
        ))
    }
}

fn is_name(name: &str) -> bool {
    self::name(name).is_ok()
}

impl Variables {
    /// Notes an assignment by a word; a computed word may name any variable.
    fn assign_text(&mut self, word: &str) {
        let name = unquoted(word).split('[').next().unwrap_or_default();
        if is_dynamic(name) {
            self.opaque = true;
        }
        self.assign(name);
    }

    fn assign_word(&mut self, word: Option<&Word<'_>>) {
        if let Some((word, _)) = word {
            self.assign_text(word);
        }
    }

    fn guard(&mut self, name: &str) {
        if is_name(name) {
            self.guarded.insert(name.to_owned());
        }
    }

    fn assign(&mut self, name: &str) {
        // A word may hold anything: only valid names reach a shell again.
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
