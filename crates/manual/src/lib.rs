//! Text -> model: pages, fences, procedures, checks, expectations, each with its place.
//!
//! Pure: nothing here reads a file (but [`load()`]), runs anything or prints. Parsing never
//! stops at the first problem. The format is specified in the manual, chapter "The format".
//!
//! ```
//! use std::path::Path;
//!
//! use opsbook_manual::{PageSource, Settings, parse};
//! use opsbook_text::files::Refused;
//! use opsbook_text::source::Source;
//!
//! let text = "# Hello\n\n~~~yaml procedure\nid: hello\n~~~\n\nSay it.\n\n~~~sh step\necho hello\n~~~\n";
//! let page = PageSource {
//!     path: "hello.md".into(),
//!     title: None,
//!     source: Source::new("hello.md", text),
//! };
//! let no_includes = |_: &Path| Err(Refused::Missing);
//! let (manual, problems) = parse(Path::new("."), Settings::default(), vec![page], &no_includes);
//! assert!(problems.is_empty());
//! let step = &manual.procedures["hello"].steps[0];
//! assert_eq!((step.title.as_str(), step.span.line()), ("Say it", 9));
//! ```

// The crates below this one, by the names that its files use.
use opsbook_text::{files, interpolation, outside, source, wildcard, yaml};

mod duration;
pub mod expect;
pub mod fuzz;
mod load;
mod markdown;
mod model;
pub mod navigation;
mod parse;
mod settings;
mod shell;
mod threads;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

pub use duration::duration;
pub use load::{load, load_settings, page_again};
pub use markdown::include::Includes;
pub use markdown::summary::MAX_LEVELS;
pub use model::allow::{Settled, settle};
pub use model::attributes::attributes_of;
pub use model::concern::{Subject, concerns, concerns_all};
pub use model::contract::go_templates;
pub use model::coverage::{Counts, Coverage, Named, PageCoverage, coverage};
pub use model::lint::lint;
pub use model::order::sort;
pub use model::silence::unused as unused_silences;
pub use parse::{PageSource, parse};
pub use shell::script::is_shell;
pub use shell::variables::{Variables, variables};
pub use shell::word::{shell_quoted, shell_word};

use crate::navigation::Navigation;
use crate::source::{Passage, Source, Span};
use crate::yaml::Yaml;

/// All pages of a book, and what their tagged blocks say.
#[derive(Debug, Default)]
pub struct Manual {
    /// The folder of `book.toml`.
    pub root: PathBuf,
    /// What `book.toml` says to opsbook.
    pub settings: Settings,
    /// In the order of the book.
    pub pages: Vec<Page>,
    /// By id, in the order of the book.
    pub procedures: IndexMap<String, Procedure>,
    /// By id, in the order of the book.
    pub groups: IndexMap<String, Group>,
    /// What has an id that was taken already: looked at, never run.
    pub doubles: Doubles,
    /// All files of the source folder, relative to it.
    pub files: BTreeSet<PathBuf>,
    /// The pages are listed in a `SUMMARY.md`: it is a book of mdBook's kind.
    pub listed: bool,
    /// The order that another generator's file says, where there is no `SUMMARY.md`.
    pub navigation: Option<Navigation>,
}

impl Manual {
    /// The innermost folder in which all pages lie, relative to the source folder.
    #[must_use]
    pub fn common_folder(&self) -> PathBuf {
        let folder = |page: &Page| page.path.parent().map(PathBuf::from).unwrap_or_default();
        let shared = |a: PathBuf, b: PathBuf| {
            let pairs = a.components().zip(b.components());
            pairs.take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
        };
        let folders = self.pages.iter().map(folder);
        folders.reduce(shared).unwrap_or_default()
    }
}

/// Procedures and groups of checks whose id stands on the pages before. Each is an error; what
/// else is wrong in them is told in the same run.
#[derive(Debug, Default)]
pub struct Doubles {
    /// Procedures with an id that another one had before.
    pub procedures: Vec<Procedure>,
    /// Groups with an id that another one had before.
    pub groups: Vec<Group>,
}

/// `[preprocessor.opsbook]` in `book.toml`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// An undeclared shell fence is an error.
    pub strict: bool,
    /// The HTML of pages goes into the book as it is.
    pub allow_html: bool,
    /// Where nodes are defined, relative to the root; `nodes.yaml` or `nodes/` by default.
    pub nodes: Option<Spanned<PathBuf>>,
    /// The folder of journals and results, relative to the root; `.opsbook` by default.
    pub state: Option<Spanned<PathBuf>>,
    /// After so many days the book calls a recorded result old; 30 by default.
    pub results_days: Option<u32>,
    /// A page that was not changed for so many days says so; none says nothing.
    pub review_days: Option<u32>,
    /// Chapters that are made of the whole manual.
    pub chapters: Wanted,
    /// Words of other generators are read, and those that are not understood are named.
    pub foreign_words: Wanted,
    /// The selector of the nodes that `opsbook test` asks; all nodes by default.
    pub test_nodes: Option<Spanned<String>>,
    /// Problems that are none, as `NAME` or `NAME PATH`; a path may have `*` and `?`.
    pub silence: Vec<Spanned<String>>,
    /// What runs where, by its name: `[applications.NAME]`.
    pub applications: IndexMap<String, Application>,
    /// The folder of `SUMMARY.md`, relative to the root: `book.src`.
    pub source: PathBuf,
    /// Where `book.src` stands, if it does.
    pub source_at: Option<Span>,
    /// How the book reads Markdown.
    pub markdown: MarkdownSettings,
}

/// An application: what is deployed and looked after by some procedures, on some nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Application {
    /// Its procedures: ids with `*` and `?`.
    pub procedures: Spanned<String>,
    /// Where it runs: a selector.
    pub nodes: Spanned<String>,
    /// The value that tells its version, as a step captures it.
    pub version: Option<Spanned<String>>,
}

/// Something that a manual has unless its settings say `false`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// As every manual has it.
    #[default]
    Yes,
    /// `false` in the settings.
    No,
}

/// How the book reads Markdown; what runs is read in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkdownSettings {
    /// Straight quotes and dots become typographic ones in the book.
    pub smart_punctuation: bool,
    /// A line that begins with `: ` defines the one before it.
    pub definition_lists: bool,
    /// A quotation that begins with `[!NOTE]` is a box.
    pub admonitions: bool,
}

impl Default for MarkdownSettings {
    fn default() -> MarkdownSettings {
        MarkdownSettings {
            smart_punctuation: true,
            definition_lists: true,
            admonitions: true,
        }
    }
}

/// One chapter of the book.
#[derive(Debug)]
pub struct Page {
    /// The file, as the author edits it.
    pub source: Arc<Source>,
    /// The text with front matter taken off and includes put in.
    pub text: Passage,
    /// Its title in `SUMMARY.md`, or its first heading.
    pub title: String,
    /// The title in front matter, where the text has no heading of the first level: a site
    /// generator shows it above the text.
    pub heading: Option<String>,
    /// Where the page stands in the book, relative to the source folder.
    pub path: PathBuf,
    /// All fences in order, tagged or not.
    pub blocks: Vec<Block>,
    /// Settings of a site generator stand above the text.
    pub has_front_matter: bool,
    /// Links and images in order.
    pub links: Vec<Link>,
    /// Ids that a link may lead to.
    pub anchors: Vec<String>,
    /// Files that it includes, and where in its source each is included first.
    pub included: Vec<(PathBuf, u32)>,
    /// Where [`Page::text`] begins in the source, after front matter.
    pub body: usize,
    /// `{{#title …}}`: what the browser calls the page.
    pub set_title: Option<String>,
    /// A bound was exceeded, which is an error: the book shows the text as it is written.
    pub plain: bool,
    /// An include was refused: only `text` may be shown, not what others make of the source.
    pub withheld: bool,
    /// Problems that its author calls none, each with its place.
    pub silences: Vec<Silence>,
}

/// `<!-- opsbook: silence NAME -->`: problems of these names, in what follows, are none.
#[derive(Clone, Debug)]
pub struct Silence {
    /// Names of problems.
    pub codes: Vec<Spanned<String>>,
    /// From the comment to the end of what follows it: bytes of [`Page::text`].
    pub range: std::ops::Range<usize>,
}

/// A link or image of a page.
#[derive(Clone, Debug)]
pub struct Link {
    /// Where it leads, as it is written.
    pub target: String,
    /// Bytes within [`Page::text`].
    pub range: std::ops::Range<usize>,
    /// It shows a picture, and leads nowhere.
    pub image: bool,
}

/// One fenced block of a page.
#[derive(Clone, Debug)]
pub struct Block {
    /// Bytes of the whole fence within [`Page::text`].
    pub range: std::ops::Range<usize>,
    /// First word of the info string, lower case; empty where there is none.
    pub language: String,
    /// What the fence declares it to be; none for prose.
    pub kind: Option<Kind>,
    /// The global name: `web.deploy/install`, `web.xt-recent`, `web`; empty for blocks
    /// that have none.
    pub name: String,
    /// What runs and what the reader sees, byte for byte.
    pub text: Passage,
    /// The opening fence line, or the comment before it that tags the block.
    pub span: Span,
    /// Its words name a kind that there is not, which is an error.
    pub is_misread: bool,
    /// Problems in it that its author calls settled: `allow=` on the fence.
    pub allow: Vec<String>,
}

/// What a fence declares its block to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The contract of a procedure.
    Procedure,
    /// The contract of a group of checks.
    Checks,
    /// A script that changes the node.
    Step,
    /// A script that only looks.
    Check,
    /// What the script before it has to print.
    Expect,
    /// Files that are brought into the bundle.
    Deliver,
    /// A file that is brought into the bundle, with its text.
    File,
    /// What a person does.
    Manual,
    /// A section: the steps below it are done for each node of a role.
    Each,
    /// Shown to readers, and never run.
    Example,
}

/// An ordered sequence of steps.
#[derive(Debug)]
pub struct Procedure {
    /// Its name, unique in the manual.
    pub id: String,
    /// The heading over its contract.
    pub title: String,
    /// The `id` in its contract.
    pub span: Span,
    /// Index into [`Manual::pages`].
    pub page: usize,
    /// Where it may be run; anywhere if absent.
    pub nodes: Option<Spanned<String>>,
    /// Groups of checks that must hold first.
    pub needs: Vec<Spanned<String>>,
    /// Default time limit of its steps.
    pub timeout: Option<Duration>,
    /// What `--set` may give it, by name.
    pub params: IndexMap<String, Param>,
    /// The author's own placeholders and the text that stands for each, in which `${name}`
    /// is a value.
    pub replace: IndexMap<String, Spanned<String>>,
    /// Its steps in the order of the page.
    pub steps: Vec<Step>,
    /// The machines of a run, in the order of the contract; none where it runs on one node.
    pub roles: IndexMap<String, Role>,
    /// Values that must be equal on all nodes of a run with roles.
    pub same: Vec<Spanned<String>>,
    /// Who has to approve a run of it that a gateway is asked for; nobody where it is absent.
    pub approve: Option<Approve>,
    /// Checks before the first step.
    pub before: Vec<Check>,
    /// In the order of the page; no two of them overlap.
    pub sections: Vec<Each>,
    /// Checks that open what follows a section, with the number of the step after which they
    /// stand: the last of the section.
    pub after: Vec<(usize, Vec<Check>)>,
    /// Which blocks belong to it.
    pub reach: Reach,
}

/// How many people have to approve a run before it begins, and whose word counts.
#[derive(Clone, Debug)]
pub struct Approve {
    /// The key in the contract.
    pub span: Span,
    /// So many people; the one who asks is not among them.
    pub count: u32,
    /// People and `@groups` of `access.yaml`. Empty for all who have the verb `approve`.
    pub by: Vec<Spanned<String>>,
}

/// A name for a machine, or several, in one run.
#[derive(Clone, Debug)]
pub struct Role {
    /// Where the contract names it.
    pub span: Span,
    /// The nodes that may be bound to it.
    pub nodes: Spanned<String>,
    /// How many nodes may play it.
    pub count: Count,
    /// Groups of checks that must hold on its nodes first.
    pub needs: Vec<Spanned<String>>,
    /// One sentence for who runs the procedure.
    pub help: Option<String>,
}

/// How many nodes play a role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Count {
    /// Exactly one.
    #[default]
    One,
    /// `1+`
    Several,
    /// `0+`
    Any,
}

/// A part of a procedure that is repeated for each node of a role: `yaml each`.
#[derive(Clone, Debug)]
pub struct Each {
    /// Where the block stands.
    pub span: Span,
    /// Index into [`Page::blocks`] of the procedure's page.
    pub block: usize,
    /// The heading over it.
    pub title: String,
    /// The role whose nodes have their turn one after the other.
    pub role: Spanned<String>,
    /// How many turns go side by side; the last share repeats.
    pub batch: Vec<Share>,
    /// Between two batches.
    pub wait: Duration,
    /// So many turns may end badly before no further one begins.
    pub max_fail: usize,
    /// The numbers of its steps.
    pub steps: std::ops::Range<usize>,
    /// Checks before its first step, asked at the beginning of each turn.
    pub before: Vec<Check>,
}

/// A number of nodes, or a share of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// So many nodes.
    Count(usize),
    /// So many in a hundred of the nodes, at least one.
    Percent(usize),
}

/// What belongs to a contract.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// From the contract to the heading that ends it: bytes of [`Page::text`], whole blocks.
    pub range: std::ops::Range<usize>,
    /// Problems in it that its author calls settled: `allow:` in the contract.
    pub allow: Vec<String>,
    /// Names that its scripts get in a way that cannot be seen: `defined:`.
    pub defined: Vec<String>,
}

/// A value, and where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it is written.
    pub span: Span,
}

/// What `--set` may give a procedure.
#[derive(Clone, Debug)]
pub struct Param {
    /// Where the contract names it.
    pub span: Span,
    /// A run does not begin without it.
    pub required: bool,
    /// What holds where it is not given.
    pub default: Option<String>,
    /// A regular expression that the whole argument must match.
    pub pattern: Option<String>,
    /// One sentence for who runs the procedure.
    pub help: Option<String>,
}

/// One step: a script, a delivery, or something that a person does.
#[derive(Clone, Debug)]
pub struct Step {
    /// From 1, within its procedure.
    pub number: usize,
    /// Its own name within the procedure, where the fence gives one.
    pub id: Option<String>,
    /// The heading, list item or sentence that introduces it, on one line, without markup.
    pub title: String,
    /// The opening fence line.
    pub span: Span,
    /// Index into [`Page::blocks`] of the procedure's page.
    pub block: usize,
    /// What is done.
    pub work: Work,
    /// Where it is done.
    pub on: On,
    /// The machine that `on=` names, in a procedure with roles.
    pub machine: Option<Machine>,
    /// The user that it is done as, where not the login user.
    pub sudo: Option<SudoUser>,
    /// Its own time limit.
    pub timeout: Option<Duration>,
    /// Ask before it.
    pub confirm: bool,
    /// Its trimmed standard output becomes this variable.
    pub capture: Option<String>,
    /// Accepted exit statuses; `[0]` unless declared.
    pub exit: Vec<i32>,
    /// The step restarts the node.
    pub reboot: bool,
    /// Idempotent, and run again on every resume.
    pub setup: bool,
    /// What its standard output must be.
    pub expect: Option<Expect>,
    /// Checks that stand after it and verify it.
    pub checks: Vec<Check>,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Work {
    /// Runs a script.
    Script(Script),
    /// Brings files into the bundle.
    Deliver(Vec<Delivery>),
    /// What a person does, and confirms; may hold `${name}`.
    Manual(Passage),
    /// Puts a text into its place on the machine.
    Place(Place),
}

/// A `file` block with `to=`: its text is what a reader pastes, and what is placed.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where the fence names the path.
    pub span: Span,
    /// Where it goes: an absolute path.
    pub to: String,
    /// The body: a template.
    pub text: Passage,
    /// Octal permissions; none where the file keeps those that it has.
    pub mode: Option<u32>,
    /// `USER` or `USER:GROUP`.
    pub owner: Option<String>,
    /// What is done with what stands there.
    pub how: How,
}

/// What a placed text is to the file at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// All of it.
    Whole,
    /// Lines at its end, unless they stand in it.
    Append,
    /// Lines that are taken out and put in: each must be found at one place.
    Edit,
}

/// Which side of a session: the node, or the operator's own machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// On the node.
    Node,
    /// On the operator's machine, beside the manual.
    Local,
}

/// A machine of a run with roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Machine {
    /// `on=ROLE`: its one node, or within its section the node whose turn it is.
    Role(String),
    /// `on=all:ROLE`: each of its nodes, side by side.
    All(String),
}

/// `sudo` is root, `sudo=USER` is that user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SudoUser(pub String);

/// A block that runs. For a transcript the text holds its commands only.
#[derive(Clone, Debug)]
pub struct Script {
    /// `sh`, `bash`, `python3`, …
    pub interpreter: String,
    /// With the author's placeholders put in as `${name}`; otherwise the block's own bytes.
    pub text: Passage,
    /// The commands of a transcript; empty for a plain script.
    pub commands: Vec<Command>,
    /// Names that it gets in a way that cannot be seen: `defined=` on the fence, `defined:` in
    /// the contract.
    pub defined: Vec<String>,
}

/// One command of a transcript.
#[derive(Clone, Debug)]
pub struct Command {
    /// A `# ` line before it.
    pub title: Option<String>,
    /// The command without its prompt.
    pub text: Passage,
    /// What it has to print, as the page shows it.
    pub expect: Option<Expect>,
    /// The exit status that it has to have.
    pub exit: i32,
}

/// What standard output must be.
#[derive(Clone, Debug)]
pub struct Expect {
    /// Where the expectation stands.
    pub span: Span,
    /// How the text is compared with what was printed.
    pub kind: ExpectKind,
    /// May hold `${name}`.
    pub text: Passage,
}

/// How an expected text is compared with what was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectKind {
    /// `...` alone on a line stands for any lines, `[..]` for anything within a line.
    Text,
    /// One regular expression a line.
    Regex,
    /// A subset of the JSON found.
    Json,
}

/// A file that is brought into the bundle. Names may hold `${name}`.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where the fence or the contract names it.
    pub span: Span,
    /// Where its bytes come from.
    pub from: DeliveryFrom,
    /// Its name in the bundle.
    pub to: String,
    /// Octal permissions, `0600` by default.
    pub mode: u32,
}

/// Where the bytes of a file come from.
#[derive(Clone, Debug)]
pub enum DeliveryFrom {
    /// A file beside the manual, its bytes unchanged.
    File(String),
    /// A folder beside the manual, with everything in it.
    Tree(String),
    /// A source in `templates/`.
    Template(String),
    /// The body of a `file` block: a template.
    Inline(Passage),
    /// The body of a `file` block with `to=`: a template that includes nothing.
    Placed(Passage),
    /// A file in the bundle of another machine of the run.
    Machine {
        /// The role whose machine has it.
        role: String,
        /// Who plays the role; empty until a plan binds it.
        node: String,
        /// Its path there.
        path: String,
    },
}

/// A group of checks.
#[derive(Debug)]
pub struct Group {
    /// Its name, unique in the manual.
    pub id: String,
    /// The heading over its contract.
    pub title: String,
    /// The `id` in its contract.
    pub span: Span,
    /// Index into [`Manual::pages`].
    pub page: usize,
    /// Where it is asked; on all nodes of the suite if absent.
    pub nodes: Option<Spanned<String>>,
    /// Who asks it.
    pub when: When,
    /// Typed assertions in the order of the contract.
    pub typed: Vec<TypedCheck>,
    /// Scripts in the order of the page.
    pub checks: Vec<Check>,
    /// Which blocks belong to it.
    pub reach: Reach,
}

/// Who asks a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// The suite, and the procedures that need it.
    #[default]
    Always,
    /// Only the procedures that need it: what it says need not hold at all times.
    Needed,
    /// Only where a role needs it, or by its full name: not all of its nodes are in this state.
    State,
}

/// `service: {nginx: {running: true}}` is one: its kind, its resource, its attributes.
#[derive(Clone, Debug)]
pub struct TypedCheck {
    /// The type, such as `service`.
    pub kind: Spanned<String>,
    /// The name of the resource, such as `nginx`.
    pub resource: Spanned<String>,
    /// What is said of it: a map of facts and matchers.
    pub attributes: Yaml,
}

/// One read-only assertion as a script.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its full name: `web.deploy/importable` or `web.xt-recent`.
    pub name: String,
    /// The heading, list item or sentence that introduces it, without markup.
    pub title: String,
    /// The opening fence line.
    pub span: Span,
    /// Index into [`Page::blocks`].
    pub block: usize,
    /// Index into [`Manual::pages`].
    pub page: usize,
    /// What is run, and must only look.
    pub script: Script,
    /// Where it is run.
    pub on: On,
    /// The machine that `on=` names, in a procedure with roles.
    pub machine: Option<Machine>,
    /// The user that it is run as, where not the login user.
    pub sudo: Option<SudoUser>,
    /// Its own time limit.
    pub timeout: Option<Duration>,
    /// Exit statuses that mean that it holds; `[0]` unless declared.
    pub exit: Vec<i32>,
    /// What its standard output must be.
    pub expect: Option<Expect>,
    /// It is asked again while it does not hold.
    pub eventually: Option<Eventually>,
    /// Verifies a step, and is a test of its own as well.
    pub always: bool,
    /// Where it is asked, where not on all nodes of its group.
    pub nodes: Option<Spanned<String>>,
}

/// Try for `limit`, every `every`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eventually {
    /// After this time it is as it was last.
    pub limit: Duration,
    /// The time from one try to the next.
    pub every: Duration,
}

#[cfg(test)]
mod tests;
