//! A generated procedure whose steps append lines to one file.

use std::fmt::Write as _;

use super::Chance;

/// The page, and the lines that its steps write.
#[derive(Debug)]
pub struct Made {
    pub page: String,
    pub steps: Vec<MadeStep>,
}

/// A step: its lines, in order.
#[derive(Debug, Default)]
pub struct MadeStep {
    pub lines: Vec<String>,
    /// It runs again on every resume.
    pub setup: bool,
}

pub fn make(chance: &mut Chance, sudo: bool) -> Made {
    let mut made = Made {
        page: "# Soak\n\n```yaml procedure\nid: soak\n```\n\n".to_owned(),
        steps: Vec::new(),
    };
    let mut captured: Vec<usize> = Vec::new();
    let mut kept: Option<usize> = None;
    for number in 1..=2 + chance.below(6) {
        let step = match chance.below(11) {
            0 => deliver(&mut made.page, number),
            1 | 2 => transcript(&mut made.page, number, chance),
            3 => {
                captured.push(number);
                capture(&mut made.page, number, chance)
            }
            4 => {
                kept = Some(number);
                let body = format!("kept={number}\n{}", write_line(number, "", chance));
                step(&mut made.page, number, "sh", "", &body)
            }
            5 => fails_once(&mut made.page, number, chance),
            6 => {
                let mut made_step = plain(&mut made.page, number, "sh", " setup", chance);
                made_step.setup = true;
                made_step
            }
            7 => plain(&mut made.page, number, "sh", " on=local", chance),
            8 if sudo => plain(&mut made.page, number, "sh", " sudo", chance),
            9 => python(&mut made.page, number),
            _ => uses(&mut made.page, number, &captured, kept, chance),
        };
        if chance.one_in(4) && !step.lines.is_empty() {
            let _ = write!(
                made.page,
                "```sh check id=c{number}\ngrep -q '^{}' \"$ran\"\n```\n\n",
                step.lines[0]
            );
        }
        made.steps.push(step);
    }
    made
}

fn plain(
    page: &mut String,
    number: usize,
    shell: &str,
    words: &str,
    chance: &mut Chance,
) -> MadeStep {
    let shell = if chance.one_in(3) { "bash" } else { shell };
    let body = write_line(number, "", chance);
    step(page, number, shell, words, &body)
}

/// A step with values that earlier ones captured or set.
fn uses(
    page: &mut String,
    number: usize,
    captured: &[usize],
    kept: Option<usize>,
    chance: &mut Chance,
) -> MadeStep {
    let mut tail = String::new();
    let mut value = String::new();
    if let Some(other) = captured.last() {
        let _ = write!(tail, " $v{other}");
        let _ = write!(value, " value{other}");
    }
    if let Some(other) = kept {
        tail.push_str(" $kept");
        let _ = write!(value, " {other}");
    }
    let body = write_line(number, &tail, chance);
    MadeStep {
        lines: vec![format!("s{number}{value}")],
        ..step(page, number, "sh", "", &body)
    }
}

fn capture(page: &mut String, number: usize, chance: &mut Chance) -> MadeStep {
    let side = if chance.one_in(3) { " on=local" } else { "" };
    let body = format!("{}echo value{number}\n", quiet_line(number, chance));
    step(
        page,
        number,
        "sh",
        &format!(" capture=v{number}{side}"),
        &body,
    )
}

fn fails_once(page: &mut String, number: usize, chance: &mut Chance) -> MadeStep {
    let body = format!(
        "{}[ -e \"$ran.{number}\" ] || {{ : > \"$ran.{number}\"; exit 3; }}\n",
        write_line(number, "", chance)
    );
    step(page, number, "sh", "", &body)
}

fn python(page: &mut String, number: usize) -> MadeStep {
    let body =
        format!("import os\nprint('py')\nopen(os.environ['ran'], 'a').write('s{number}\\n')\n");
    step(page, number, "python3", "", &body)
}

fn deliver(page: &mut String, number: usize) -> MadeStep {
    let _ = write!(
        page,
        "```yaml deliver id=s{number}\n- {{file: nodes.yaml, as: d{number}/nodes.yaml}}\n```\n\n\
         ```sh check id=d{number}\ngrep -q opsbook \"$bundle/d{number}/nodes.yaml\"\n```\n\n"
    );
    MadeStep::default()
}

fn transcript(page: &mut String, number: usize, chance: &mut Chance) -> MadeStep {
    let mut made = MadeStep::default();
    let _ = writeln!(page, "```console step id=s{number}");
    for command in 1..=1 + chance.below(3) {
        let pause = chance.of(&["", "sleep 0.2; ", "sleep 0.7; "]);
        let line = format!("s{number}.{command}");
        let _ = writeln!(
            page,
            "$ {pause}echo {line} >> \"$ran\"; echo did {command}\ndid {command}"
        );
        made.lines.push(line);
    }
    page.push_str("```\n\n");
    made
}

fn step(page: &mut String, number: usize, language: &str, words: &str, body: &str) -> MadeStep {
    let _ = write!(
        page,
        "```{language} step id=s{number}{words}\n{body}```\n\n"
    );
    MadeStep {
        lines: vec![format!("s{number}")],
        setup: false,
    }
}

/// Prints something, and writes the line at some point.
fn write_line(number: usize, tail: &str, chance: &mut Chance) -> String {
    let loud = chance.of(&["", "echo begins\n", "seq 3000\n"]);
    let before = chance.of(&["", "", "sleep 0.1\n", "sleep 0.5\n"]);
    let after = chance.of(&["", "", "sleep 0.1\n", "sleep 1\n"]);
    format!("{loud}{before}echo \"s{number}{tail}\" >> \"$ran\"\n{after}")
}

fn quiet_line(number: usize, chance: &mut Chance) -> String {
    let before = chance.of(&["", "sleep 0.2\n"]);
    format!("{before}echo s{number} >> \"$ran\"\n")
}
