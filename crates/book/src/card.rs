//! The frame around a tagged block: caption, anchor, and for contracts a card that shows the YAML
//! as text and tables. HTML, each frame on one line.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use crate::manual::{
    Block, Check, Each, Eventually, Group, Kind, Machine, Manual, On, Page, Procedure, Step,
    SudoUser, When, Work, shell_word,
};
use crate::plan::uses::{self, From, Use};

use super::blocks::key;
use super::html::{attribute, badge, badge_of, code, command, name, reference, role, text, time};
use super::present::Row;
use super::recorded::Recorded;
use super::refer::linked;
use super::tables::{assertions, delivered, parameters, placed, roles};

/// HTML before and after a block, without line ends.
pub(super) struct Frame {
    pub(super) before: String,
    pub(super) after: String,
}

/// The pages whose cards are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pages {
    All,
    /// Only the page with this index.
    One(usize),
}

impl Pages {
    fn has(self, page: usize) -> bool {
        match self {
            Pages::All => true,
            Pages::One(one) => one == page,
        }
    }
}

/// Finds the meaning of each block of a manual.
pub(super) struct Cards<'a> {
    manual: &'a Manual,
    recorded: &'a Recorded,
    /// Groups of nodes that a chapter describes.
    groups: &'a HashSet<String>,
    /// By page and block.
    steps: HashMap<(usize, usize), OfStep<'a>>,
    checks: HashMap<(usize, usize), OfCheck<'a>>,
    sections: HashMap<(usize, usize), &'a Each>,
}

struct OfStep<'a> {
    procedure: &'a Procedure,
    step: &'a Step,
    uses: Vec<Use>,
}

struct OfCheck<'a> {
    check: &'a Check,
    moment: Moment,
    uses: Vec<Use>,
}

/// When a check is evaluated.
#[derive(Clone, Copy)]
enum Moment {
    /// With its group.
    Group,
    /// Before the first step of its procedure.
    First,
    /// At the beginning of each turn of its section.
    Turn,
    /// After a step of this number.
    Step(usize),
    /// After all turns of the section that ends with this step.
    Section,
}

/// The place of a card: the name of its block, and the file of its page.
#[derive(Clone, Copy)]
struct At<'a> {
    name: &'a str,
    key: usize,
}

impl<'a> Cards<'a> {
    pub(super) fn new(
        manual: &'a Manual,
        recorded: &'a Recorded,
        groups: &'a HashSet<String>,
        pages: Pages,
    ) -> Cards<'a> {
        let mut steps = HashMap::new();
        let mut checks = HashMap::new();
        let mut sections = HashMap::new();
        let procedures = manual.procedures.values();
        for procedure in procedures.filter(|own| pages.has(own.page)) {
            let mut uses = uses::of_procedure(procedure);
            for (check, moment) in asked(procedure) {
                let at = (check.page, check.block);
                let uses = uses.checks.remove(&at).unwrap_or_default();
                let of = OfCheck {
                    check,
                    moment,
                    uses,
                };
                checks.insert(at, of);
            }
            for (step, uses) in procedure.steps.iter().zip(uses.steps) {
                let of = OfStep {
                    procedure,
                    step,
                    uses,
                };
                steps.insert((procedure.page, step.block), of);
            }
            let own = procedure.sections.iter();
            sections.extend(own.map(|each| ((procedure.page, each.block), each)));
        }
        let own = manual.groups.values().flat_map(|group| &group.checks);
        for check in own.filter(|check| pages.has(check.page)) {
            let of = OfCheck {
                check,
                moment: Moment::Group,
                uses: uses::of_check(check),
            };
            checks.insert((check.page, check.block), of);
        }
        Cards {
            manual,
            recorded,
            groups,
            steps,
            checks,
            sections,
        }
    }

    /// The frame of a block, if it has a kind.
    pub(super) fn frame(&self, page_number: usize, index: usize) -> Option<Frame> {
        let page = self.manual.pages.get(page_number)?;
        let block = page.blocks.get(index)?;
        let at = (page_number, index);
        let key = key(page_number);
        Some(match block.kind? {
            Kind::Procedure => self.procedure(page, block, key),
            Kind::Checks => self.group(page, block, key),
            Kind::Step | Kind::Deliver | Kind::File | Kind::Manual => match self.steps.get(&at) {
                Some(of) => {
                    let name = of.procedure.name_of(of.step);
                    step_frame(of, block, &self.recorded.runs.of_step(&name), key)
                }
                None => orphan(block),
            },
            Kind::Check => match self.checks.get(&at) {
                Some(of) => {
                    let results = self.recorded.results.of_check(&Row::script(&of.check.name));
                    check_frame(of, &results, key)
                }
                None => orphan(block),
            },
            Kind::Each => match self.sections.get(&at) {
                Some(each) => section_frame(each),
                None => orphan(block),
            },
            Kind::Expect => self.expect_frame(page_number, index),
            Kind::Example => {
                let caption = role("Example") + &badge("shown, never run");
                open("example", None, "Example, not run", &caption).closed()
            }
        })
    }

    fn procedure(&self, page: &Page, block: &Block, key: usize) -> Frame {
        let Some(procedure) = self.manual.procedures.get(&block.name) else {
            return orphan(block);
        };
        let caption = role("Procedure") + &name(&procedure.id);
        let mut card = open(
            "procedure",
            Some(At::new(&procedure.id, key)),
            &format!("Procedure {}", procedure.id),
            &caption,
        );
        card.before += "<dl class=\"ops-facts\">";
        if procedure.roles.is_empty() {
            let nodes = procedure.nodes.as_ref();
            let nodes = nodes.map(|nodes| self.nodes(page, &nodes.value));
            card.fact("May run on", &nodes.unwrap_or_else(|| "any node".into()));
        }
        if !procedure.same.is_empty() {
            let same = procedure.same.iter().map(|name| code(&name.value));
            let same: Vec<String> = same.collect();
            card.fact("Must be equal", &same.join(", "));
        }
        if !procedure.needs.is_empty() {
            let needs = procedure.needs.iter();
            let needs = needs.map(|need| self.link(page, &need.value));
            let needs: Vec<String> = needs.collect();
            card.fact("Must hold first", &needs.join(", "));
        }
        if !procedure.steps.is_empty() {
            card.fact("Steps", &steps(procedure));
        }
        if let Some(limit) = procedure.timeout {
            card.fact("Time limit", &format!("{} for each step", time(limit)));
        }
        if !procedure.replace.is_empty() {
            let pairs = procedure.replace.iter();
            let pairs: Vec<String> = pairs
                .map(|(from, to)| format!("{} stands for {}", code(from), code(&to.value)))
                .collect();
            card.fact("Placeholders", &pairs.join("<br>"));
        }
        card.before += "</dl>";
        let link = |need: &str| self.link(page, need);
        card.before += &roles(procedure, &link, &|nodes| self.nodes(page, nodes));
        card.before += &parameters(procedure);
        card.before += &self.recorded.runs.of_procedure(&procedure.id);
        card.before += &command(&procedure.command());
        card.contract()
    }

    fn group(&self, page: &Page, block: &Block, key: usize) -> Frame {
        let Some(group) = self.manual.groups.get(&block.name) else {
            return orphan(block);
        };
        let caption = role("Checks") + &name(&group.id);
        let label = format!("Group of checks {}", group.id);
        let mut card = open("checks", Some(At::new(&group.id, key)), &label, &caption);
        card.before += "<dl class=\"ops-facts\">";
        let nodes = group.nodes.as_ref();
        let nodes = nodes.map(|nodes| self.nodes(page, &nodes.value));
        let nodes = nodes.unwrap_or_else(|| "every node".into());
        match group.when {
            When::Always => card.fact("Must hold on", &nodes),
            When::Needed => card.fact(
                "Must hold on",
                &format!("{nodes}, asked only by the procedures that need it"),
            ),
            When::State => card.fact(
                "A state of",
                &format!("{nodes}, asked only where a role needs it"),
            ),
        }
        let scripts = group
            .checks
            .iter()
            .map(|check| self.link(page, &check.name));
        let scripts: Vec<String> = scripts.collect();
        if !scripts.is_empty() {
            card.fact("Checked by script", &scripts.join(", "));
        }
        card.before += "</dl>";
        card.before += &assertions(group, &self.recorded.results);
        card.before += &command(&self.tested(group));
        card.contract()
    }

    /// The command that evaluates a group, with its nodes if the defaults differ.
    fn tested(&self, group: &Group) -> String {
        let by_default = self.manual.settings.test_nodes.as_ref();
        match group.nodes.as_ref().filter(|_| by_default.is_some()) {
            Some(nodes) => {
                let nodes = shell_word(&nodes.value);
                format!("opsbook test --nodes {nodes} {}::", group.id)
            }
            None => format!("opsbook test {}::", group.id),
        }
    }

    /// Names the block whose output this is.
    fn expect_frame(&self, page_number: usize, index: usize) -> Frame {
        let blocks = &self.manual.pages[page_number].blocks;
        let of = blocks[..index]
            .iter()
            .rev()
            .find(|block| matches!(block.kind, Some(Kind::Step | Kind::Check)));
        let info = blocks[index].span.text();
        let how = if info.split_whitespace().any(|word| word == "regex") {
            badge("a regular expression a line")
        } else if blocks[index].language == "json" {
            badge("at least this JSON")
        } else {
            String::new()
        };
        let named = of.filter(|block| !block.name.is_empty());
        let of = named.map(|block| format!(" of {}", reference(&block.name)));
        let caption = role("Must print") + &how + &of.unwrap_or_default();
        open("expect", None, "Expected output", &caption).closed()
    }

    /// A selector with links to its groups, from a page.
    fn nodes(&self, from: &Page, selector: &str) -> String {
        linked(selector, self.groups, &up(&from.path))
    }

    /// A link to a procedure, a group or a check, from a page.
    fn link(&self, from: &Page, id: &str) -> String {
        let manual = self.manual;
        // Names of groups may contain dots.
        let mut groups = id.rmatch_indices('.').map(|(dot, _)| &id[..dot]);
        let page = (manual.groups.get(id).map(|group| group.page))
            .or_else(|| manual.procedures.get(id).map(|procedure| procedure.page))
            .or_else(|| groups.find_map(|group| Some(manual.groups.get(group)?.page)));
        match page.and_then(|page| manual.pages.get(page)) {
            None => code(id),
            Some(page) if page.path == from.path => reference(id),
            Some(page) => format!(
                "<a href=\"{}#{}\">{}</a>",
                attribute(&relative(&from.path, &page.path)),
                attribute(id),
                code(id)
            ),
        }
    }
}

/// The checks of a procedure, each with when it is evaluated.
fn asked(procedure: &Procedure) -> Vec<(&Check, Moment)> {
    fn all(checks: &[Check], moment: Moment) -> impl Iterator<Item = (&Check, Moment)> {
        checks.iter().map(move |check| (check, moment))
    }
    let turns = procedure.sections.iter();
    let turns = turns.flat_map(|each| all(&each.before, Moment::Turn));
    let steps = procedure.steps.iter();
    let steps = steps.flat_map(|step| all(&step.checks, Moment::Step(step.number)));
    let after = procedure.after.iter();
    let after = after.flat_map(|(_, checks)| all(checks, Moment::Section));
    let first = all(&procedure.before, Moment::First);
    first.chain(turns).chain(steps).chain(after).collect()
}

/// A frame under construction.
struct Open {
    before: String,
}

impl Open {
    fn fact(&mut self, term: &str, html: &str) {
        for part in ["<dt>", term, "</dt><dd>", html, "</dd>"] {
            self.before.push_str(part);
        }
    }

    fn closed(self) -> Frame {
        Frame {
            before: self.before,
            after: "</div>".to_owned(),
        }
    }

    /// The block is the contract that the card shows: it is collapsed.
    fn contract(self) -> Frame {
        Frame {
            before: self.before + "<details><summary>As written</summary>",
            after: "</details></div>".to_owned(),
        }
    }
}

impl<'a> At<'a> {
    fn new(name: &'a str, key: usize) -> At<'a> {
        At { name, key }
    }
}

fn open(kind: &str, at: Option<At<'_>>, label: &str, caption: &str) -> Open {
    let anchor = at.map(|At { name, key }| {
        let name = attribute(name);
        format!(" id=\"{name}\" data-name=\"{name}\" data-page=\"{key}\"")
    });
    Open {
        before: format!(
            "<div class=\"ops ops-{kind}\"{} role=\"group\" aria-label=\"{}\">\
             <p class=\"ops-caption\">{caption}</p>",
            anchor.unwrap_or_default(),
            attribute(label),
        ),
    }
}

/// A block that belongs to nothing, because of an error in the manual.
fn orphan(block: &Block) -> Frame {
    let word = block.kind.map_or("", word);
    let caption = role(word) + &badge("not usable: `opsbook lint` says why");
    open("orphan", None, word, &caption).closed()
}

fn step_frame(of: &OfStep<'_>, block: &Block, ran: &str, key: usize) -> Frame {
    let OfStep {
        procedure,
        step,
        uses,
    } = of;
    let number = format!("Step {}", step.number);
    let id = procedure.name_of(step);
    let label = format!("Step {}: {}", step.number, step.title);
    let mut caption = role(&number) + &machine(step.machine.as_ref()) + &name(&id);
    let kind = match &step.work {
        Work::Script(_) => "step",
        Work::Deliver(_) => "deliver",
        Work::Manual(_) => "manual",
        Work::Place(_) => "step",
    };
    match &step.work {
        Work::Deliver(_) => caption += &badge("copied into the bundle"),
        Work::Manual(_) => caption += &badge("done by a person, who confirms it"),
        Work::Script(_) | Work::Place(_) => {
            caption += &place(step.on, step.machine.as_ref(), step.sudo.as_ref());
        }
    }
    caption += &conditions(step);
    let mut card = open(kind, Some(At::new(&id, key)), &label, &caption);
    card.before += &needs(uses);
    card.before += ran;
    match &step.work {
        Work::Deliver(deliveries) => {
            card.before += &delivered(deliveries);
            if block.kind == Some(Kind::File) {
                card.closed()
            } else {
                card.contract()
            }
        }
        Work::Place(place) => {
            card.before += &placed(place);
            card.closed()
        }
        _ => card.closed(),
    }
}

fn check_frame(of: &OfCheck<'_>, results: &str, key: usize) -> Frame {
    let OfCheck {
        check,
        moment,
        uses,
    } = of;
    let on = check.machine.as_ref();
    let mut caption = role("Check") + &machine(on) + &name(&check.name);
    caption += &place(check.on, on, check.sudo.as_ref());
    match moment {
        Moment::Group => {}
        Moment::First => caption += &badge("before the first step"),
        Moment::Turn => caption += &badge("at the beginning of each turn"),
        Moment::Step(number) => caption += &badge(&format!("after step {number}")),
        Moment::Section => caption += &badge("after all turns"),
    }
    if check.always {
        caption += &badge("and at all times");
    }
    if let Some(Eventually { limit, every }) = check.eventually {
        caption += &badge(&format!("within {}, every {}", time(limit), time(every)));
    }
    if let Some(nodes) = &check.nodes {
        caption += &badge(&format!("on {}", nodes.value));
    }
    caption += &limits(check.timeout, &check.exit);
    let label = format!("Check {}", check.name);
    let at = At::new(&check.name, key);
    let mut card = open("check", Some(at), &label, &caption);
    card.before += &needs(uses);
    card.before += results;
    card.closed()
}

/// The values that a reader must set first if no node is chosen: a script pasted without its values
/// would work on other paths.
fn needs(uses: &[Use]) -> String {
    let words: Vec<String> = uses.iter().filter_map(need).collect();
    if words.is_empty() {
        return String::new();
    }
    let words = words.join(", ");
    format!("<p class=\"ops-needs\">Needs {words}</p>")
}

fn need(used: &Use) -> Option<String> {
    let name = code(&used.name);
    Some(match &used.from {
        From::Value => name,
        From::Optional => return None,
        From::Earlier(step) => format!("{name} from step {}", text(step)),
        From::Captured(step) => format!("{name}, which step {} prints", text(step)),
        From::Run if used.name == "bundle" => format!("{name}, the folder that opsbook fills"),
        From::Run => format!("{name}, which only a run has"),
        From::Role(role) if *role == used.name => format!("{name}, who plays {}", text(role)),
        From::Role(role) => format!("{name}, a value of who plays {}", text(role)),
    })
}

fn conditions(step: &Step) -> String {
    let mut badges = String::new();
    if step.confirm {
        badges += &badge("asks first");
    }
    if step.reboot {
        badges += &badge("restarts the node");
    }
    if step.setup {
        badges += &badge("runs again on resume");
    }
    if let Some(variable) = &step.capture {
        badges += &badge(&format!("its output becomes ${variable}"));
    }
    badges + &limits(step.timeout, &step.exit)
}

fn limits(timeout: Option<Duration>, exit: &[i32]) -> String {
    let limit = timeout.map(|limit| badge(&format!("at most {}", time(limit))));
    let usual = exit.is_empty() || exit == [0];
    let statuses: Vec<String> = exit.iter().map(i32::to_string).collect();
    let exits = (!usual).then(|| badge(&format!("may exit {}", statuses.join(", "))));
    limit.unwrap_or_default() + &exits.unwrap_or_default()
}

/// The node that a block names: the first word of its caption.
fn machine(machine: Option<&Machine>) -> String {
    let words = |machine: &Machine| {
        format!(
            "<strong class=\"ops-machine\">{}</strong> ",
            text(&machine.place())
        )
    };
    machine.map(words).unwrap_or_default()
}

/// Where a block runs, unless its node says that.
fn place(on: On, machine: Option<&Machine>, sudo: Option<&SudoUser>) -> String {
    let place = match (on, machine) {
        (On::Node, Some(_)) => String::new(),
        (On::Node, None) => badge("on the node"),
        (On::Local, _) => badge_of("local", "on your own machine"),
    };
    let sudo = sudo.map(|SudoUser(user)| badge_of("sudo", &format!("as {user}")));
    place + &sudo.unwrap_or_default()
}

/// The steps in the order of the page; those of a section below its description.
fn steps(procedure: &Procedure) -> String {
    let mut html = String::new();
    let mut open = false;
    for step in &procedure.steps {
        let mut sections = procedure.sections.iter();
        let opens = sections.find(|each| each.steps.start == step.number);
        let mut ended = procedure.sections.iter();
        let ended = ended.any(|each| each.steps.end == step.number);
        if open && (opens.is_some() || ended) {
            html += "</ol>";
            open = false;
        }
        if let Some(each) = opens {
            html += &format!("<p class=\"ops-turns\">{}:</p>", text(&turns(each)));
        }
        if !open {
            html += &match step.number {
                1 => "<ol class=\"ops-steps\">".to_owned(),
                number => format!("<ol class=\"ops-steps\" start=\"{number}\">"),
            };
            open = true;
        }
        html += &step_line(procedure, step);
    }
    html + if open { "</ol>" } else { "" }
}

/// `for each web: first one, then a quarter at a time, 2 s between`.
fn turns(each: &Each) -> String {
    let wait = (!each.wait.is_zero()).then(|| format!(", {} between", time(each.wait)));
    each.words() + &wait.unwrap_or_default()
}

fn section_frame(each: &Each) -> Frame {
    let fails = match each.max_fail {
        0 => "none begins after a failure".to_owned(),
        most => format!("none begins once more than {most} have failed"),
    };
    let caption = role("Section") + &badge(&turns(each)) + &badge(&fails);
    let label = format!("Section for each {}", each.role.value);
    open("each", None, &label, &caption).contract()
}

fn step_line(procedure: &Procedure, step: &Step) -> String {
    let id = procedure.name_of(step);
    let own = id.rsplit('/').next().unwrap_or_default();
    let title = if step.title.is_empty() {
        own
    } else {
        &step.title
    };
    let mut notes = Vec::new();
    if matches!(step.work, Work::Manual(_)) {
        notes.push("by hand".to_owned());
    }
    match (step.on, &step.machine) {
        (On::Local, _) => notes.push("on your own machine".to_owned()),
        (On::Node, Some(machine)) => notes.push(machine.place()),
        (On::Node, None) => {}
    }
    match step.checks.len() {
        0 => {}
        1 => notes.push("1 check".to_owned()),
        n => notes.push(format!("{n} checks")),
    }
    let notes = notes.iter();
    let notes = notes.map(|note| format!(" <span class=\"ops-quiet\">{}</span>", text(note)));
    format!(
        "<li><a href=\"#{}\">{}</a>{}</li>",
        attribute(&id),
        text(title.trim_end_matches(':')),
        notes.collect::<String>()
    )
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Procedure => "Procedure",
        Kind::Checks => "Checks",
        Kind::Step => "Step",
        Kind::Check => "Check",
        Kind::Expect => "Must print",
        Kind::Deliver => "Delivery",
        Kind::File => "File",
        Kind::Manual => "By hand",
        Kind::Each => "Section",
        Kind::Example => "Example",
    }
}

/// The relative path from one page of the book to another.
fn relative(from: &Path, to: &Path) -> String {
    let to = super::links::html_path(to);
    up(from) + &to.to_string_lossy()
}

/// The relative path from a page to the top of the book.
fn up(from: &Path) -> String {
    "../".repeat(from.components().count().saturating_sub(1))
}
