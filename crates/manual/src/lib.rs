//! Parses text into a model: pages, fences, procedures, checks, expectations, each with its place.
//!
//! Pure: nothing here runs anything or prints, and only [`load()`] reads files. Parsing never stops
//! at the first problem. The manual specifies the format in its chapter "The format".
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

// The crates below this one, under the names that its files use.
use opsbook_text::{files, interpolation, outside, source, wildcard, yaml};

mod duration;
pub mod expect;
pub mod formula;
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
use mdbook_markdown::MarkdownOptions;

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

/// All pages of a book, and the contents of their tagged blocks.
#[derive(Debug, Default)]
pub struct Manual {
    /// The folder of `book.toml`.
    pub root: PathBuf,
    /// opsbook's settings in `book.toml`.
    pub settings: Settings,
    /// In the order of the book.
    pub pages: Vec<Page>,
    /// By id, in the order of the book.
    pub procedures: IndexMap<String, Procedure>,
    /// By id, in the order of the book.
    pub groups: IndexMap<String, Group>,
    /// Procedures and groups with a duplicate id: linted, never run.
    pub doubles: Doubles,
    /// All files of the source folder, by paths relative to it.
    pub files: BTreeSet<PathBuf>,
    /// The pages are listed in a `SUMMARY.md`, as in an mdBook book.
    pub listed: bool,
    /// The order of pages from another generator's file, used without a `SUMMARY.md`.
    pub navigation: Option<Navigation>,
}

impl Manual {
    /// The innermost folder that contains all pages, relative to the source folder.
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

/// Procedures and groups of checks whose id an earlier page has taken. Each is an error; their
/// other errors are reported in the same run.
#[derive(Debug, Default)]
pub struct Doubles {
    /// Procedures whose id is taken.
    pub procedures: Vec<Procedure>,
    /// Groups whose id is taken.
    pub groups: Vec<Group>,
}

/// `[preprocessor.opsbook]` in `book.toml`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// An undeclared shell fence is an error.
    pub strict: bool,
    /// The book keeps the HTML of pages unchanged.
    pub allow_html: bool,
    /// Where nodes are defined, relative to the root; default `nodes.yaml` or `nodes/`.
    pub nodes: Option<Spanned<PathBuf>>,
    /// The folder of journals and results, relative to the root; default `.opsbook`.
    pub state: Option<Spanned<PathBuf>>,
    /// The age in days after which the book calls a recorded result old; default 30.
    pub results_days: Option<u32>,
    /// The age in days after which a page without changes is marked for review; `None` never marks.
    pub review_days: Option<u32>,
    /// Generate the chapters about the whole manual.
    pub chapters: Wanted,
    /// Interpret fence words of other generators, and report those that are not understood.
    pub foreign_words: Wanted,
    /// The selector of the nodes for `opsbook test`; default all nodes.
    pub test_nodes: Option<Spanned<String>>,
    /// Silenced problems, as `NAME` or `NAME PATH`; a path may contain `*` and `?`.
    pub silence: Vec<Spanned<String>>,
    /// Applications by name: `[applications.NAME]`.
    pub applications: IndexMap<String, Application>,
    /// The folder of `SUMMARY.md`, relative to the root: `book.src`.
    pub source: PathBuf,
    /// The place of `book.src` in the settings, if set.
    pub source_at: Option<Span>,
    /// How the book reads Markdown.
    pub markdown: MarkdownSettings,
    /// Where pages have formulas.
    pub formulas: formula::Syntax,
}

/// An application: deployed and maintained by some procedures, on some nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Application {
    /// Its procedures: ids, with `*` and `?` as wildcards.
    pub procedures: Spanned<String>,
    /// The nodes where it runs: a selector.
    pub nodes: Spanned<String>,
    /// The name of the value that holds its version; a step captures it.
    pub version: Option<Spanned<String>>,
}

/// A feature that is on unless the settings say `false`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// On, the default.
    #[default]
    Yes,
    /// Off: `false` in the settings.
    No,
}

/// How the book reads Markdown; the parser for runs uses the same settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkdownSettings {
    /// The book shows straight quotes and dots as typographic ones.
    pub smart_punctuation: bool,
    /// A line that begins with `: ` is a definition of the line before it.
    pub definition_lists: bool,
    /// A quotation that begins with `[!NOTE]` becomes a box.
    pub admonitions: bool,
}

impl MarkdownSettings {
    /// For the parser.
    pub(crate) fn options(self) -> MarkdownOptions {
        let mut options = MarkdownOptions::default();
        options.smart_punctuation = self.smart_punctuation;
        options.definition_lists = self.definition_lists;
        options.admonitions = self.admonitions;
        options
    }
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
    /// The file that the author edits.
    pub source: Arc<Source>,
    /// The text without front matter and with includes expanded.
    pub text: Passage,
    /// Its title in `SUMMARY.md`, or its first heading.
    pub title: String,
    /// The title from front matter, if the text has no heading of level 1: site generators show it
    /// above the text.
    pub heading: Option<String>,
    /// The page's path in the book, relative to the source folder.
    pub path: PathBuf,
    /// All fences in order, tagged or not.
    pub blocks: Vec<Block>,
    /// The page begins with front matter of a site generator.
    pub has_front_matter: bool,
    /// Links and images in order.
    pub links: Vec<Link>,
    /// Ids that are valid link targets.
    pub anchors: Vec<String>,
    /// Included files, each with the offset of its first include in the source.
    pub included: Vec<(PathBuf, u32)>,
    /// The offset of [`Page::text`] in the source, after front matter.
    pub body: usize,
    /// `{{#title …}}`: the title shown by the browser.
    pub set_title: Option<String>,
    /// A limit was exceeded, which is an error: the book shows the text without rendering it.
    pub plain: bool,
    /// An include was refused: only `text` may be shown, not the source rendered by others.
    pub withheld: bool,
    /// Problems that the author silenced, each with its place.
    pub silences: Vec<Silence>,
    /// Where the page has formulas.
    pub formulas: formula::Syntax,
}

/// `<!-- opsbook: silence NAME -->`: problems with these names are ignored in the text after it.
#[derive(Clone, Debug)]
pub struct Silence {
    /// Names of problems.
    pub codes: Vec<Spanned<String>>,
    /// The bytes of [`Page::text`] from the comment to the end of the silenced text.
    pub range: std::ops::Range<usize>,
}

/// A link or image of a page.
#[derive(Clone, Debug)]
pub struct Link {
    /// The target, as written.
    pub target: String,
    /// Bytes within [`Page::text`].
    pub range: std::ops::Range<usize>,
    /// It is an image, not a link.
    pub image: bool,
}

/// One fenced block of a page.
#[derive(Clone, Debug)]
pub struct Block {
    /// Bytes of the whole fence within [`Page::text`].
    pub range: std::ops::Range<usize>,
    /// First word of the info string in lower case; empty if absent.
    pub language: String,
    /// The declared kind; `None` for prose.
    pub kind: Option<Kind>,
    /// The global name: `web.deploy/install`, `web.xt-recent`, `web`; empty for blocks without a
    /// name.
    pub name: String,
    /// The text that runs and that the reader sees, byte for byte.
    pub text: Passage,
    /// The opening fence line, or the comment before it that tags the block.
    pub span: Span,
    /// Its words name an unknown kind, which is an error.
    pub is_misread: bool,
    /// Problems that the author accepted on the fence: `allow=`.
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
    /// A script that only reads.
    Check,
    /// The output that the script before it must print.
    Expect,
    /// Files to copy into the bundle.
    Deliver,
    /// A file to copy into the bundle, with its text in the block.
    File,
    /// Work for a person.
    Manual,
    /// A section: the steps below it run for each node of a role.
    Each,
    /// Shown to readers, never run.
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
    /// The nodes where it may run; any node if absent.
    pub nodes: Option<Spanned<String>>,
    /// Groups of checks that must hold first.
    pub needs: Vec<Spanned<String>>,
    /// The default time limit of its steps.
    pub timeout: Option<Duration>,
    /// Its parameters by name, set with `--set`.
    pub params: IndexMap<String, Param>,
    /// The author's placeholders with their replacement text, in which `${name}` is a value.
    pub replace: IndexMap<String, Spanned<String>>,
    /// Its steps in the order of the page.
    pub steps: Vec<Step>,
    /// The roles of a run, in the order of the contract; empty for a run on one node.
    pub roles: IndexMap<String, Role>,
    /// Values that must be equal on all nodes of a run with roles.
    pub same: Vec<Spanned<String>>,
    /// Who must approve a run that is ordered through a gateway; `None` if nobody.
    pub approve: Option<Approve>,
    /// Checks before the first step.
    pub before: Vec<Check>,
    /// In the order of the page; sections do not overlap.
    pub sections: Vec<Each>,
    /// Checks at the start of the text after a section, with the number of the section's last step.
    pub after: Vec<(usize, Vec<Check>)>,
    /// The blocks that belong to it.
    pub reach: Reach,
}

/// How many people must approve a run before it begins, and whose approval counts.
#[derive(Clone, Debug)]
pub struct Approve {
    /// The key in the contract.
    pub span: Span,
    /// The number of people, not counting the one who orders the run.
    pub count: u32,
    /// People and `@groups` of `access.yaml`. Empty: everybody with the verb `approve`.
    pub by: Vec<Spanned<String>>,
}

/// A name for one or more nodes in a run.
#[derive(Clone, Debug)]
pub struct Role {
    /// Where the contract names it.
    pub span: Span,
    /// The nodes that may have this role.
    pub nodes: Spanned<String>,
    /// How many nodes may have it.
    pub count: Count,
    /// Groups of checks that must hold on its nodes first.
    pub needs: Vec<Spanned<String>>,
    /// One sentence for the person who runs the procedure.
    pub help: Option<String>,
}

/// How many nodes have a role.
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
    /// The place of the block.
    pub span: Span,
    /// Index into [`Page::blocks`] of the procedure's page.
    pub block: usize,
    /// The heading over it.
    pub title: String,
    /// The role whose nodes have their turns one after the other.
    pub role: Spanned<String>,
    /// How many turns run in parallel; the last share repeats.
    pub batch: Vec<Share>,
    /// The pause between two batches.
    pub wait: Duration,
    /// How many turns may fail before no new turn begins.
    pub max_fail: usize,
    /// The numbers of its steps.
    pub steps: std::ops::Range<usize>,
    /// Checks before its first step, evaluated at the beginning of each turn.
    pub before: Vec<Check>,
}

/// A number of nodes, or a share of all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// An absolute number.
    Count(usize),
    /// A percentage of the nodes, at least one node.
    Percent(usize),
}

/// The part of a page that belongs to a contract.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// From the contract to the heading that ends it: bytes of [`Page::text`], always whole blocks.
    pub range: std::ops::Range<usize>,
    /// Problems that the author accepted in the contract: `allow:`.
    pub allow: Vec<String>,
    /// Names that its scripts set in a way that opsbook cannot see: `defined:`.
    pub defined: Vec<String>,
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// The place where it is written.
    pub span: Span,
}

/// A parameter of a procedure.
#[derive(Clone, Debug)]
pub struct Param {
    /// Where the contract names it.
    pub span: Span,
    /// A run needs an argument for it.
    pub required: bool,
    /// The value without an argument.
    pub default: Option<String>,
    /// A regular expression that the whole argument must match.
    pub pattern: Option<String>,
    /// One sentence for the person who runs the procedure.
    pub help: Option<String>,
}

/// One step: a script, a delivery, or work for a person.
#[derive(Clone, Debug)]
pub struct Step {
    /// From 1, within its procedure.
    pub number: usize,
    /// Its name within the procedure, if the fence gives one.
    pub id: Option<String>,
    /// The heading, list item or sentence that introduces it, on one line, without markup.
    pub title: String,
    /// The opening fence line.
    pub span: Span,
    /// Index into [`Page::blocks`] of the procedure's page.
    pub block: usize,
    /// What it does.
    pub work: Work,
    /// Where it runs.
    pub on: On,
    /// The node that `on=` names, in a procedure with roles.
    pub machine: Option<Machine>,
    /// The user that it runs as, if not the login user.
    pub sudo: Option<SudoUser>,
    /// Its own time limit.
    pub timeout: Option<Duration>,
    /// Ask the operator before it.
    pub confirm: bool,
    /// Its trimmed standard output becomes this variable.
    pub capture: Option<String>,
    /// Accepted exit statuses; `[0]` unless declared.
    pub exit: Vec<i32>,
    /// The step restarts the node.
    pub reboot: bool,
    /// Idempotent; runs again on every resume.
    pub setup: bool,
    /// What its standard output must be.
    pub expect: Option<Expect>,
    /// Checks after it, which verify it.
    pub checks: Vec<Check>,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Work {
    /// Runs a script.
    Script(Script),
    /// Copies files into the bundle.
    Deliver(Vec<Delivery>),
    /// Work for a person, who confirms it; the text may contain `${name}`.
    Manual(Passage),
    /// Writes a text to a file on the node.
    Place(Place),
}

/// A `file` block with `to=`. Its text is what a reader would paste, and what is written.
#[derive(Clone, Debug)]
pub struct Place {
    /// The place of the path on the fence.
    pub span: Span,
    /// The destination: an absolute path.
    pub to: String,
    /// The body: a template.
    pub text: Passage,
    /// Octal permissions; `None` keeps those of an existing file.
    pub mode: Option<u32>,
    /// `USER` or `USER:GROUP`.
    pub owner: Option<String>,
    /// How an existing file is changed.
    pub how: How,
}

/// How a text relates to the file at its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The text replaces the file.
    Whole,
    /// The lines are appended, unless the file already has them.
    Append,
    /// Lines to remove and to insert; each must match at exactly one place.
    Edit,
}

/// The side of a session: the node, or the operator's own machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// On the node.
    Node,
    /// On the operator's machine, in the manual's folder.
    Local,
}

/// A node of a run with roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Machine {
    /// `on=ROLE`: its only node, or within its section the node whose turn it is.
    Role(String),
    /// `on=all:ROLE`: each of its nodes, in parallel.
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
    /// With the author's placeholders replaced by `${name}`; otherwise the block's own bytes.
    pub text: Passage,
    /// The commands of a transcript; empty for a plain script.
    pub commands: Vec<Command>,
    /// Names that it sets in a way that opsbook cannot see: `defined=` on the fence, `defined:` in
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
    /// The output that it must print, as shown on the page.
    pub expect: Option<Expect>,
    /// The exit status that it must have.
    pub exit: i32,
}

/// An expected standard output.
#[derive(Clone, Debug)]
pub struct Expect {
    /// The place of the expectation.
    pub span: Span,
    /// How to compare the text with the output.
    pub kind: ExpectKind,
    /// The text; may contain `${name}`.
    pub text: Passage,
}

/// How an expected text is compared with an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectKind {
    /// A line `...` matches any lines, `[..]` anything within a line.
    Text,
    /// Each line is a regular expression.
    Regex,
    /// A subset of the printed JSON.
    Json,
}

/// A file to copy into the bundle. Names may contain `${name}`.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its place on the fence or in the contract.
    pub span: Span,
    /// The source of its bytes.
    pub from: DeliveryFrom,
    /// Its name in the bundle.
    pub to: String,
    /// Octal permissions, `0600` by default.
    pub mode: u32,
}

/// The source of a file's bytes.
#[derive(Clone, Debug)]
pub enum DeliveryFrom {
    /// A file next to the manual, copied unchanged.
    File(String),
    /// A folder next to the manual, with all its contents.
    Tree(String),
    /// A source in `templates/`.
    Template(String),
    /// The body of a `file` block: a template.
    Inline(Passage),
    /// The body of a `file` block with `to=`: a template without includes.
    Placed(Passage),
    /// A file in the bundle of another node of the run.
    Machine {
        /// The role of the node that has it.
        role: String,
        /// The node with that role; empty until a plan binds it.
        node: String,
        /// Its path in that bundle.
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
    /// Where it is evaluated; on all nodes of the suite if absent.
    pub nodes: Option<Spanned<String>>,
    /// When it is evaluated.
    pub when: When,
    /// Typed assertions in the order of the contract.
    pub typed: Vec<TypedCheck>,
    /// Scripts in the order of the page.
    pub checks: Vec<Check>,
    /// The blocks that belong to it.
    pub reach: Reach,
}

/// When a group is evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// By the suite, and by the procedures that need it.
    #[default]
    Always,
    /// Only by the procedures that need it: it need not hold at all times.
    Needed,
    /// Only by its full name or for a role that needs it: it describes a state that not all of its
    /// nodes have.
    State,
}

/// One typed assertion, such as `service: {nginx: {running: true}}`: kind, resource, attributes.
#[derive(Clone, Debug)]
pub struct TypedCheck {
    /// The type, such as `service`.
    pub kind: Spanned<String>,
    /// The name of the resource, such as `nginx`.
    pub resource: Spanned<String>,
    /// The assertion: a map of facts and matchers.
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
    /// The script, which must only read.
    pub script: Script,
    /// Where it runs.
    pub on: On,
    /// The node that `on=` names, in a procedure with roles.
    pub machine: Option<Machine>,
    /// The user that it runs as, if not the login user.
    pub sudo: Option<SudoUser>,
    /// Its own time limit.
    pub timeout: Option<Duration>,
    /// Exit statuses with which it holds; `[0]` unless declared.
    pub exit: Vec<i32>,
    /// What its standard output must be.
    pub expect: Option<Expect>,
    /// Evaluate it again until it holds.
    pub eventually: Option<Eventually>,
    /// It verifies a step and also is a test of its own.
    pub always: bool,
    /// Where it is evaluated, if not on all nodes of its group.
    pub nodes: Option<Spanned<String>>,
}

/// Try for at most `limit`, once every `every`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eventually {
    /// After this time the last result counts.
    pub limit: Duration,
    /// The time from one try to the next.
    pub every: Duration,
}

#[cfg(test)]
mod tests;
