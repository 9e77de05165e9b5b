//! Copies files and rendered templates into the bundle. As much as possible is prepared before the
//! bundle is opened, so that a missing file stops a run before it changes anything.

use std::collections::HashMap;
use std::path::Path;

use crate::delivery::{archive, blank, readable, template_of};
use crate::event::{Status, What};
use crate::files::{Entry, EntryKind, Files};
use crate::halt::Halt;
use crate::manual::{Delivery, DeliveryFrom, On};
use crate::node::NodeRun;
use crate::node::fetch::fetch;
use crate::node::worked::Worked;
use crate::plan::PlannedStep;
use crate::session::{Call, Cancel, Content, DeliverError, Delivered, Limits, Utility, fair};
use crate::source::Problem;
use crate::template::render;

/// Rendered texts, by step and name in the bundle.
#[derive(Debug, Default)]
pub struct Prepared(HashMap<(usize, String), Vec<u8>>);

impl Prepared {
    /// Renders or examines everything that the steps from `first` on deliver, except what depends
    /// on values of earlier steps.
    pub async fn new(run: &NodeRun<'_>, first: usize) -> Result<Prepared, Halt> {
        let mut prepared = Prepared::default();
        let project = Files::of(&run.given.options.root);
        let mut made_here = false;
        for step in run
            .given
            .plan
            .steps
            .iter()
            .filter(|step| step.number >= first)
        {
            let first_here = run.given.plan.first_here;
            made_here |= first_here.is_some_and(|first| first < step.number);
            for file in step.files() {
                match &file.from {
                    DeliveryFrom::File(path) | DeliveryFrom::Tree(path) => {
                        if !made_here {
                            let path = Path::new(path);
                            let readable = readable(&project, path, file);
                            readable.map_err(|why| undeliverable(path, file, &why))?;
                        }
                    }
                    DeliveryFrom::Machine { .. } => {}
                    DeliveryFrom::Template(_)
                    | DeliveryFrom::Inline(_)
                    | DeliveryFrom::Placed(_) => {
                        if let Some(text) = rendered(run, file, false).await? {
                            prepared.0.insert((step.number, file.to.clone()), text);
                        }
                    }
                }
            }
            made_here |= step.on == On::Local;
        }
        Ok(prepared)
    }
}

fn undeliverable(path: &Path, file: &Delivery, why: &dyn std::fmt::Display) -> Halt {
    Halt::error(format!(
        "{}: cannot deliver `{}`: {why}",
        file.span.place(),
        path.display()
    ))
}

/// The text of a template or an inline file; `None` if it needs a value that a step has yet to
/// capture.
async fn rendered(run: &NodeRun<'_>, file: &Delivery, late: bool) -> Result<Option<Vec<u8>>, Halt> {
    let place = |problem: Problem| match problem.span {
        Some(_) => Halt::error(problem.to_string()),
        None => Halt::error(format!("{}: {}", file.span.place(), problem.message)),
    };
    let root = &run.given.options.root;
    let known = |name: &str| run.scope.get(name).map(str::to_owned);
    let blank = blank(root, run.given.plan, file, &known).map_err(place)?;
    let (Some(mut blank), Some(template)) = (blank, template_of(file)) else {
        return Ok(None);
    };
    for name in &blank.open {
        if !late {
            return Ok(None);
        }
        run.scope.captured(name)?;
    }
    if blank.secrets.is_empty() {
        return Ok(Some(blank.text.into_bytes()));
    }
    for (name, reference) in &blank.secrets {
        let secrets = &run.given.options.secrets;
        let secret = secrets.resolve(&run.given.plan.node.name, reference).await;
        let secret = secret.map_err(|error| Halt::error(error.to_string()))?;
        let text = String::from_utf8_lossy(secret.expose());
        blank.values.text(name.as_str(), &text);
    }
    let text = render(&Files::of(root), template, &blank.values)
        .map_err(place)?
        .text;
    Ok(Some(text.into_bytes()))
}

impl NodeRun<'_> {
    /// Delivers all files of a step within its time limit. An interrupt leaves nothing of the
    /// current file, so no question is necessary.
    pub async fn deliver(
        &mut self,
        step: &PlannedStep,
        files: &[Delivery],
    ) -> Result<Worked, Halt> {
        let cancel = Cancel::new();
        let mut interrupts = self.interrupts.clone();
        let mut work = std::pin::pin!(self.deliver_all(step, files, &cancel));
        let ended = tokio::select! {
            biased;
            done = &mut work => return done.map(|()| Worked::ok(None)),
            Ok(()) = interrupts.changed() => {
                Worked::ended(Status::Stopped, "stopped while delivering files")
            }
            () = fair::pass(step.timeout) => {
                let limit = crate::human(step.timeout);
                Worked::ended(Status::TimedOut, format!("not delivered within {limit}"))
            }
        };
        cancel.cancel();
        tokio::select! {
            done = &mut work => match done {
                // The last file was already there.
                Ok(()) => Ok(Worked::ok(None)),
                Err(halt @ Halt::Journal(_)) => Err(halt),
                Err(_) => Ok(ended),
            },
            Ok(()) = interrupts.changed() => Ok(ended),
        }
    }

    async fn deliver_all(
        &mut self,
        step: &PlannedStep,
        files: &[Delivery],
        cancel: &Cancel,
    ) -> Result<(), Halt> {
        let bundle = self.bundles.own()?;
        bundle.at(step.number).await?;
        self.bundles.files_are_new().await?;
        let project = Files::of(&self.given.options.root);
        for file in files {
            match &file.from {
                DeliveryFrom::File(path) => {
                    let path = Path::new(path);
                    let opened = project.open(path);
                    let opened = opened.map_err(|why| undeliverable(path, file, &why))?;
                    let content = Content::File(path, &opened.file);
                    self.put(step, &file.to, content, file.mode, cancel).await?;
                }
                DeliveryFrom::Tree(path) => {
                    let root = Path::new(path);
                    let found = project.tree(root);
                    let found = found.map_err(|why| undeliverable(root, file, &why))?;
                    if bundle.shell().hello().has(Utility::Tar) {
                        self.put_archive(step, &project, &found, file, cancel)
                            .await?;
                        continue;
                    }
                    for entry in found.iter().filter(|entry| entry.kind != EntryKind::Folder) {
                        let opened = project.open(&entry.path);
                        let opened = opened.map_err(|why| undeliverable(root, file, &why))?;
                        let mode = mode_of(&opened.file).unwrap_or(file.mode);
                        let to = format!("{}/{}", file.to, entry.name);
                        let content = Content::File(&entry.path, &opened.file);
                        self.put(step, &to, content, mode, cancel).await?;
                    }
                }
                DeliveryFrom::Machine { node, path, .. } => {
                    let text = self.fetched(step, node, path, file).await?;
                    self.put(step, &file.to, Content::Bytes(&text), file.mode, cancel)
                        .await?;
                }
                DeliveryFrom::Template(_) | DeliveryFrom::Inline(_) | DeliveryFrom::Placed(_) => {
                    let text = match self.prepared.0.remove(&(step.number, file.to.clone())) {
                        Some(text) => text,
                        None => rendered(self, file, true).await?.unwrap_or_default(),
                    };
                    self.put(step, &file.to, Content::Bytes(&text), file.mode, cancel)
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// The text of a placed file that only the run can render.
    pub async fn placed_text(&mut self, step: &PlannedStep) -> Result<Vec<u8>, Halt> {
        let Some(placed) = &step.placed else {
            return Ok(Vec::new());
        };
        let key = (step.number, placed.file.to.clone());
        match self.prepared.0.remove(&key) {
            Some(text) => Ok(text),
            None => Ok(rendered(self, &placed.file, true)
                .await?
                .unwrap_or_default()),
        }
    }

    /// A file from the bundle of another node of the run.
    async fn fetched(
        &self,
        step: &PlannedStep,
        node: &str,
        path: &str,
        file: &Delivery,
    ) -> Result<Vec<u8>, Halt> {
        let Some(peer) = self.peers.get(node) else {
            let place = file.span.place();
            let cause = format!("{place}: this run does not reach `{node}`");
            return Err(Halt::error(cause));
        };
        fetch(&peer, path, step.timeout).await
    }

    async fn put(
        &mut self,
        step: &PlannedStep,
        to: &str,
        content: Content<'_>,
        mode: u32,
        cancel: &Cancel,
    ) -> Result<(), Halt> {
        self.make_folder_of(to).await?;
        let bundle = self.bundles.own()?;
        let path = format!("{}/{to}", bundle.dir);
        let session = bundle.shell();
        let delivered = session.deliver(&path, content, mode, cancel).await;
        let delivered = delivered.map_err(|error| refused(&error))?;
        self.arrived(step, to.to_owned(), delivered)
    }

    async fn make_folder_of(&mut self, to: &str) -> Result<(), Halt> {
        let Some((folder, _)) = to.rsplit_once('/') else {
            return Ok(());
        };
        let bundle = self.bundles.own()?;
        let call = Call::new("umask 077; mkdir -p").word(format!("{}/{folder}", bundle.dir));
        let done = bundle.shell().call(&call, Limits::seconds(60)).await;
        let done = done.map_err(|lost| Halt::error(lost.to_string()))?;
        if done.ok() {
            return Ok(());
        }
        Err(Halt::error(format!(
            "cannot create `{folder}` on the node: {}",
            crate::harmless(&done.err).trim_end()
        )))
    }

    fn arrived(&self, step: &PlannedStep, to: String, delivered: Delivered) -> Result<(), Halt> {
        let Delivered { bytes, checksum } = delivered;
        self.given.record(
            Some(step),
            What::FileDelivered {
                to,
                bytes,
                checksum,
            },
        )
    }

    /// A folder as one archive.
    async fn put_archive(
        &mut self,
        step: &PlannedStep,
        project: &Files,
        found: &[Entry],
        file: &Delivery,
        cancel: &Cancel,
    ) -> Result<(), Halt> {
        let archive = archive(project, found);
        let archive = archive.map_err(|why| undeliverable(Path::new(&file.to), file, &why))?;
        self.make_folder_of(&file.to).await?;
        let bundle = self.bundles.own()?;
        let path = format!("{}/{}", bundle.dir, file.to);
        let session = bundle.shell();
        let delivered = session.deliver_folder(&path, archive.path(), cancel).await;
        let delivered = delivered.map_err(|error| refused(&error))?;
        self.arrived(step, format!("{}/", file.to), delivered)
    }
}

fn refused(error: &DeliverError) -> Halt {
    Halt::error(crate::harmless(error.to_string().as_bytes()))
}

fn mode_of(file: &std::fs::File) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(file.metadata().ok()?.permissions().mode() & 0o777)
}
