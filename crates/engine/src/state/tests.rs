use std::collections::BTreeSet;
use std::process::Command;

use super::{MOST_BYTES, State, StateError, Takes};

fn read(text: &str) -> State {
    State::read(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn text(state: &State) -> String {
    String::from_utf8(state.text()).unwrap()
}

#[test]
fn what_the_node_wrote_is_written_anew_as_it_was() {
    let array = r#"[ -z "${BASH_VERSION-}" ] || eval 'declare -ar a=([0]="x" [7]="y \"z\" \$b")'"#;
    let named = r#"[ -z "${BASH_VERSION-}" ] || eval 'declare -A m=([k]="v" ["a b"]=$'\''t\tn\n\303'\'' )'"#;
    let given =
        format!("v='a\ncd '\\''/b'\\''\n'\nw=''\n{array}\n{named}\nexport w\ncd '/srv/x y'\n#\n");
    let expected = "v='a\ncd '\\''/b'\\''\n'\nw=''\n\
        [ -z \"${BASH_VERSION-}\" ] || eval 'declare -a a=([0]='\\''x'\\'' [7]='\\''y \"z\" $b'\\'' )'\n";
    let written = State::read(given.as_bytes()).unwrap().text();
    let written = String::from_utf8_lossy(&written);
    assert!(written.starts_with(expected), "{written}");
    assert!(written.ends_with("export w\ncd '/srv/x y'\n"), "{written}");
    // Writing and reading again changes nothing.
    assert_eq!(
        State::read(&State::read(given.as_bytes()).unwrap().text()),
        State::read(given.as_bytes())
    );
    let fallback = "x='1'\ncd '/a' 2>/dev/null || cd '/b'\n";
    assert_eq!(text(&read(fallback)), fallback);
    assert!(read("").is_empty() && read("#\n").is_empty());
}

#[test]
fn a_shell_reads_back_what_it_wrote() {
    let script = r#"v=$'it\'s\n$(x) `y` \\ "q" \x01\xff'; a=(one $'two\nlines' '$(id)' ''); declare -A m=([k.1]='v "w"' ['a ] b']=$'\e[m' [$'\t']=x)
        put() { local r=$2 q=; while [[ $r == *"'"* ]]; do q+="${r%%"'"*}'\\''"; r=${r#*"'"}; done; printf "%s'%s'\n" "$1" "$q$r"; }
        put v= "$v"; for n in a m; do put '[ -z "${BASH_VERSION-}" ] || eval ' "$(declare -p $n)"; done"#;
    let bash = |script: &str| {
        let mut bash = Command::new("bash");
        bash.args(["-c", script]).env("LC_ALL", "C");
        let done = bash.output().unwrap();
        assert!(done.status.success(), "{done:?}");
        done.stdout
    };
    let written = bash(script);
    let state = State::read(&written).unwrap();
    let mut again = state.text();
    assert_eq!(memchr::memmem::find_iter(&again, "eval").count(), 2);
    again.extend(
        b"printf '%s|' \"$v\" \"${a[@]}\" \"${m[k.1]}\" \"${m['a ] b']}\" \"${m[$'\\t']}\"",
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), again).unwrap();
    let said = bash(&format!(". {}", file.path().display()));
    let expected = b"it's\n$(x) `y` \\ \"q\" \x01\xff|one|two\nlines|$(id)||v \"w\"|\x1b[m|x|";
    assert_eq!(said, expected, "{}", String::from_utf8_lossy(&said));
}

#[test]
fn what_is_none_of_these_is_refused_with_its_line() {
    let late = |line: &str| format!("a='1'\n{line}\n");
    for line in [
        "id",
        "$(id)",
        "a=$(id)",
        "a='1'; id",
        "a='1' id",
        "a=\"1\"",
        "a=1",
        "a='1",
        "a='1'\\''",
        "a-b='1'",
        "1a='1'",
        "=''",
        " a='1'",
        "a ='1'",
        "export a b",
        "export a=1",
        "export -p",
        "export",
        "export 'a'",
        "cd /x",
        "cd 'x'",
        "cd '/x'; id",
        "cd '/x' || id",
        "cd '/x' 2>/dev/null || cd 'y'",
        "cd '/x' 2>/dev/null || id",
        "cd \"/x\"",
        "#",
        "# id",
        "",
        "eval 'id'",
        "[ -z \"${BASH_VERSION-}\" ] || eval id",
        ". /x",
        "a() { id; }",
        "'a'='1'",
        "a+='1'",
        "a[0]='1'",
        "a=''b",
        "a='\u{e9}'x",
    ] {
        let state = State::read(late(line).as_bytes());
        let last = line == "#";
        assert_eq!(state.is_ok(), last, "{line:?}: {state:?}");
        assert_eq!(
            state.err(),
            (!last).then_some(StateError::Line(2)),
            "{line}"
        );
    }
    assert_eq!(State::read(b"#\nid\n"), Err(StateError::Line(1)));
    assert_eq!(State::read(b"a='1\0'\n"), Err(StateError::Nul));
    assert_eq!(
        State::read(&vec![b'x'; MOST_BYTES + 1]),
        Err(StateError::Bytes)
    );
    let many: String = (0..5000).map(|n| format!("a{n}='1'\n")).collect();
    assert_eq!(State::read(many.as_bytes()), Err(StateError::Names));
    let long = format!("{}='1'\n", "a".repeat(200));
    assert_eq!(State::read(long.as_bytes()), Err(StateError::Line(1)));
    let deep = format!("cd '/{}'\n", "a".repeat(5000));
    assert_eq!(State::read(deep.as_bytes()), Err(StateError::Line(1)));
}

/// An array is evaluated: it may contain only quoted keys and values.
#[test]
fn an_array_that_is_none_is_left_out() {
    for array in [
        "id",
        "declare -a a=($(id))",
        "declare -a a=([0]=$(id))",
        "declare -a a=([0]=\"$(id)\")",
        "declare -a a=([0]=\"`id`\")",
        "declare -a a=([$(id)]=\"x\")",
        "declare -a a=([a]=\"x\")",
        "declare -a a=([0]=\"x\"); id",
        "declare -a a=([0]=\"x\") b=1",
        "declare -a a=([0]=\"x)",
        "declare -a a=([0]=\"\\x\")",
        "declare -f a",
        "declare -a a-b=()",
        "declare -A a=([]=\"x\")",
        "declare -a a=([a[$(id)]]=\"x\")",
        "declare -ai a=([0]=\"x\";)",
        "declare -a a=([0]=$\"x\")",
        "declare -A a=([x y]=\"1\")",
        "declare -A a=([$'\\000']=\"1\")",
        "declare -- a=\"x\"",
    ] {
        let mut line = b"[ -z \"${BASH_VERSION-}\" ] || eval ".to_vec();
        super::quote(array.as_bytes(), &mut line);
        line.push(b'\n');
        let state = State::read(&line).unwrap();
        assert!(state.is_empty(), "{array}: {}", text(&state));
    }
}

/// The resulting state, and what was reported.
fn taken(ours: &str, theirs: &str, names: &[&str], opaque: bool, folder: bool) -> String {
    let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let takes = Takes {
        names: &names,
        opaque,
        folder,
    };
    let mut state = read(ours);
    let taken = state.take_over(&read(theirs), takes, "/u", "/b");
    let said = [taken.of_the_shell, taken.changed].map(|names| names.join(" "));
    format!("{}{}|{}", text(&state), said[0], said[1])
}

#[test]
fn only_what_the_step_sets_comes_back() {
    let ours = "a='1'\nb='2'\ncd '/srv'\n";
    for (theirs, names, opaque, folder, expected) in [
        (
            "a='9'\nb='2'\ncd '/x'\n",
            &["a"][..],
            false,
            false,
            "b='2'\na='9'\ncd '/srv'\n|",
        ),
        (
            "a='9'\nb='9'\nc='9'\n",
            &["a"],
            false,
            false,
            "b='2'\na='9'\ncd '/srv'\n|b",
        ),
        ("b='2'\n", &["a"], false, false, "b='2'\ncd '/srv'\n|"),
        ("b='2'\n", &[], false, false, "a='1'\nb='2'\ncd '/srv'\n|"),
        (
            "a='1'\nexport a\n",
            &[],
            false,
            false,
            "a='1'\nb='2'\ncd '/srv'\n|",
        ),
        (
            "a='1'\nb='2'\nc='3'\nd='4'\nexport c\n",
            &[],
            true,
            false,
            "a='1'\nb='2'\nc='3'\nexport c\ncd '/srv'\n|",
        ),
        (
            "a='1'\nb='2'\ncd '/x'\n",
            &[],
            false,
            true,
            "a='1'\nb='2'\ncd '/x' 2>/dev/null || cd '/b'\n|",
        ),
        (
            "a='1'\nb='2'\ncd '/u/y'\n",
            &[],
            false,
            true,
            "a='1'\nb='2'\ncd '/b/y' 2>/dev/null || cd '/b'\n|",
        ),
        (
            "a='1'\nb='2'\ncd '/uu'\n",
            &[],
            false,
            true,
            "a='1'\nb='2'\ncd '/uu' 2>/dev/null || cd '/b'\n|",
        ),
    ] {
        assert_eq!(
            taken(ours, theirs, names, opaque, folder),
            expected,
            "{theirs}"
        );
    }
    assert_eq!(
        taken("", "a='1'\ncd '/u'\n", &["a"], false, false),
        "a='1'\ncd '/b'\n|"
    );
}

#[test]
fn what_rules_a_shell_stays_with_its_user() {
    for name in [
        "PATH",
        "IFS",
        "ENV",
        "BASH_ENV",
        "PS4",
        "PROMPT_COMMAND",
        "SHELLOPTS",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "PYTHONPATH",
        "PERL5OPT",
        "GIT_SSH_COMMAND",
        "HOME",
        "CDPATH",
        "ob_exec",
        "obb_dir",
        "OPSBOOK_STEP",
        "_",
        "SSH_ASKPASS",
        "LESSOPEN",
        "BASHOPTS",
    ] {
        let theirs = format!("{name}='/evil'\nexport {name}\n");
        for opaque in [false, true] {
            let said = taken("a='1'\ncd '/'\n", &theirs, &[name], opaque, true);
            assert_eq!(said, format!("a='1'\ncd '/'\n{name}|"), "{name}");
        }
        // Its own next step has it again.
        let state = read("a='1'\n").for_other(&read(&theirs), "/b", "/u");
        assert_eq!(text(&state), format!("a='1'\n{theirs}cd '/u'\n"));
    }
    for name in ["NODE_NAME", "PGHOST", "release", "LANG", "HOSTS"] {
        let theirs = format!("{name}='x'\n");
        let said = taken("", &theirs, &[name], false, false);
        assert_eq!(said, format!("{theirs}cd '/b'\n|"), "{name}");
    }
}

#[test]
fn a_step_of_another_user_begins_where_the_one_before_ended_or_in_its_bundle() {
    for (ours, expected) in [
        ("cd '/srv'\n", "cd '/srv' 2>/dev/null || cd '/u'\n"),
        ("cd '/b'\n", "cd '/u' 2>/dev/null || cd '/u'\n"),
        ("cd '/b/x'\n", "cd '/u/x' 2>/dev/null || cd '/u'\n"),
        ("cd '/bb'\n", "cd '/bb' 2>/dev/null || cd '/u'\n"),
        ("v='1'\n", "v='1'\ncd '/u'\n"),
    ] {
        let state = read(ours).for_other(&State::default(), "/b", "/u");
        assert_eq!(text(&state), expected);
    }
}
