//! The message loop: takes texts, sends diagnostics, answers requests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use lsp_server::{Connection, ErrorCode, Message, Notification, ProtocolError, Request, Response};
use lsp_types::{
    CodeActionParams, CodeLensOptions, CodeLensParams, CompletionOptions, CompletionParams,
    DidChangeTextDocumentParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams,
    DocumentLinkOptions, DocumentLinkParams, DocumentSymbolParams, ExecuteCommandOptions,
    ExecuteCommandParams, FoldingRangeParams, FoldingRangeProviderCapability, GotoDefinitionParams,
    Hover, HoverContents, HoverParams, HoverProviderCapability, InitializeParams, InlayHintParams,
    Location, MarkupContent, MarkupKind, OneOf, Position, PositionEncodingKind,
    PublishDiagnosticsParams, ReferenceParams, RenameOptions, RenameParams, SelectionRangeParams,
    SelectionRangeProviderCapability, SemanticTokens, SemanticTokensFullOptions,
    SemanticTokensOptions, SemanticTokensParams, ServerCapabilities, TextDocumentPositionParams,
    TextDocumentSyncCapability, TextDocumentSyncKind, TextDocumentSyncOptions, TextEdit, Uri,
    WorkDoneProgressOptions, WorkspaceEdit, WorkspaceSymbolParams,
};
use serde_json::Value;

use crate::place::{self, Columns};
use crate::snapshot::{Ground, Snapshot, Texts, root_of};
use crate::{
    actions, completion, diagnostics, folds, hints, hover, lenses, links, names, rename, selection,
    symbols, tokens,
};

/// The pause in typing after which the manual is read again.
const PAUSE: Duration = Duration::from_millis(100);

/// The most bytes of a page.
const MOST_BYTES: u64 = 4 << 20;

/// Why the server ended early.
#[derive(Debug)]
pub enum ServeError {
    /// The editor violated the protocol.
    Protocol(ProtocolError),
    /// The connection is closed.
    Closed,
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ServeError::Protocol(error) => error.fmt(f),
            ServeError::Closed => f.write_str("the editor has closed the connection"),
        }
    }
}

impl std::error::Error for ServeError {}

impl From<ProtocolError> for ServeError {
    fn from(error: ProtocolError) -> ServeError {
        ServeError::Protocol(error)
    }
}

struct Server<'c> {
    connection: &'c Connection,
    columns: Columns,
    texts: Texts,
    /// By the manual's folder; `None` if it must be read again.
    manuals: BTreeMap<PathBuf, Option<Snapshot>>,
    /// Where manuals and their packages are; updated after something was saved.
    grounds: BTreeMap<PathBuf, Ground>,
    /// Files whose diagnostics the editor has, by the manual's folder.
    shown: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    /// When the diagnostics are due.
    due: Option<Instant>,
}

/// Serves an editor until it requests the end.
///
/// # Errors
/// If the editor disconnects without that request, or violates the protocol.
pub fn serve(connection: &Connection) -> Result<(), ServeError> {
    let (id, hello) = connection.initialize_start()?;
    let hello: InitializeParams = serde_json::from_value(hello).unwrap_or_default();
    let utf8 = hello
        .capabilities
        .general
        .and_then(|general| general.position_encodings)
        .is_some_and(|known| known.contains(&PositionEncodingKind::UTF8));
    let columns = if utf8 { Columns::Utf8 } else { Columns::Utf16 };
    // Many editors show all hints that a server has, and the page's author did not write them.
    let wants_hints = hello
        .initialization_options
        .is_some_and(|own| own["inlayHints"] == true);
    let capabilities = ServerCapabilities {
        inlay_hint_provider: wants_hints.then_some(OneOf::Left(true)),
        ..capabilities(columns)
    };
    let answer = serde_json::json!({
        "capabilities": capabilities,
        "serverInfo": {"name": "opsbook", "version": env!("CARGO_PKG_VERSION")},
    });
    connection.initialize_finish(id, answer)?;
    let mut server = Server {
        connection,
        columns,
        texts: Texts::new(),
        manuals: BTreeMap::new(),
        grounds: BTreeMap::new(),
        shown: BTreeMap::new(),
        due: None,
    };
    server.serve()
}

fn capabilities(columns: Columns) -> ServerCapabilities {
    ServerCapabilities {
        position_encoding: Some(match columns {
            Columns::Utf8 => PositionEncodingKind::UTF8,
            Columns::Utf16 => PositionEncodingKind::UTF16,
        }),
        text_document_sync: Some(TextDocumentSyncCapability::Options(
            TextDocumentSyncOptions {
                open_close: Some(true),
                change: Some(TextDocumentSyncKind::INCREMENTAL),
                save: Some(lsp_types::TextDocumentSyncSaveOptions::Supported(true)),
                ..TextDocumentSyncOptions::default()
            },
        )),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some([" ", "$", "{", "@", "["].map(str::to_owned).to_vec()),
            ..CompletionOptions::default()
        }),
        definition_provider: Some(OneOf::Left(true)),
        references_provider: Some(OneOf::Left(true)),
        document_symbol_provider: Some(OneOf::Left(true)),
        workspace_symbol_provider: Some(OneOf::Left(true)),
        rename_provider: Some(OneOf::Right(RenameOptions {
            prepare_provider: Some(true),
            work_done_progress_options: WorkDoneProgressOptions::default(),
        })),
        selection_range_provider: Some(SelectionRangeProviderCapability::Simple(true)),
        document_link_provider: Some(DocumentLinkOptions {
            resolve_provider: Some(false),
            work_done_progress_options: WorkDoneProgressOptions::default(),
        }),
        folding_range_provider: Some(FoldingRangeProviderCapability::Simple(true)),
        code_lens_provider: Some(CodeLensOptions {
            resolve_provider: Some(false),
        }),
        semantic_tokens_provider: Some(
            SemanticTokensOptions {
                legend: tokens::legend(),
                full: Some(SemanticTokensFullOptions::Bool(true)),
                ..SemanticTokensOptions::default()
            }
            .into(),
        ),
        execute_command_provider: Some(ExecuteCommandOptions {
            commands: vec![lenses::LINE.to_owned()],
            ..ExecuteCommandOptions::default()
        }),
        code_action_provider: Some(lsp_types::CodeActionProviderCapability::Simple(true)),
        ..ServerCapabilities::default()
    }
}

impl Server<'_> {
    fn serve(&mut self) -> Result<(), ServeError> {
        loop {
            let message = match self.due {
                None => self
                    .connection
                    .receiver
                    .recv()
                    .map_err(|_| ServeError::Closed)?,
                Some(due) => {
                    let wait = due.saturating_duration_since(Instant::now());
                    match self.connection.receiver.recv_timeout(wait) {
                        Ok(message) => message,
                        Err(RecvTimeoutError::Timeout) => {
                            self.publish()?;
                            continue;
                        }
                        Err(RecvTimeoutError::Disconnected) => return Err(ServeError::Closed),
                    }
                }
            };
            match message {
                Message::Request(request) => {
                    if self.connection.handle_shutdown(&request)? {
                        return Ok(());
                    }
                    let answer = self.answer(request);
                    self.send(Message::Response(answer))?;
                }
                Message::Notification(note) => self.take(note),
                Message::Response(_) => {}
            }
        }
    }

    fn send(&self, message: Message) -> Result<(), ServeError> {
        let sent = self.connection.sender.send(message);
        sent.map_err(|_| ServeError::Closed)
    }

    /// Skips unreadable notifications: nobody expects an answer.
    fn take(&mut self, note: Notification) {
        match note.method.as_str() {
            "textDocument/didOpen" => {
                if let Ok(said) = serde_json::from_value::<DidOpenTextDocumentParams>(note.params)
                    && let Some(path) = place::path(&said.text_document.uri)
                {
                    self.texts
                        .insert(path.clone(), said.text_document.text.into());
                    self.changed(&path);
                }
            }
            "textDocument/didChange" => {
                if let Ok(said) = serde_json::from_value(note.params) {
                    self.change(said);
                }
            }
            "textDocument/didClose" => {
                if let Ok(said) = serde_json::from_value::<DidCloseTextDocumentParams>(note.params)
                    && let Some(path) = place::path(&said.text_document.uri)
                {
                    self.texts.remove(&path);
                    self.changed(&path);
                }
            }
            // Anything on disk may have changed.
            "textDocument/didSave" | "workspace/didChangeWatchedFiles" => {
                for manual in self.manuals.values_mut() {
                    *manual = None;
                }
                self.grounds.clear();
                self.due = Some(Instant::now() + PAUSE);
            }
            _ => {}
        }
    }

    fn change(&mut self, said: DidChangeTextDocumentParams) {
        let Some(path) = place::path(&said.text_document.uri) else {
            return;
        };
        let Some(text) = self.texts.get(&path) else {
            return;
        };
        let mut text = text.to_string();
        for change in said.content_changes {
            match change.range {
                None => text = change.text,
                Some(range) => {
                    let start = self.columns.byte(&text, range.start);
                    let end = self.columns.byte(&text, range.end).max(start);
                    text.replace_range(start..end, &change.text);
                }
            }
        }
        self.texts.insert(path.clone(), text.into());
        self.changed(&path);
    }

    fn changed(&mut self, path: &Path) {
        if let Some(root) = root_of(path) {
            // Files other than pages determine the packages.
            if path
                .extension()
                .is_some_and(|end| end == "toml" || end == "lock")
                || path.file_name().is_some_and(|name| name == "SUMMARY.md")
            {
                self.grounds.remove(&root);
            }
            // A package's page is a page of each book that uses it.
            for (other, manual) in &mut self.manuals {
                if *other != root
                    && self
                        .grounds
                        .get(other)
                        .is_some_and(|ground| ground.has(path))
                {
                    *manual = None;
                }
            }
            self.manuals.insert(root, None);
            self.due = Some(Instant::now() + PAUSE);
        }
    }

    /// The current manual that a file belongs to.
    fn snapshot(&mut self, path: &Path) -> Option<&Snapshot> {
        let root = root_of(path)?;
        let texts = &self.texts;
        let known = self.manuals.entry(root.clone()).or_insert(None);
        let grounds = &mut self.grounds;
        Some(known.get_or_insert_with(|| {
            let ground = grounds
                .entry(root.clone())
                .or_insert_with(|| Ground::find(&root));
            Snapshot::read(ground, texts)
        }))
    }

    fn publish(&mut self) -> Result<(), ServeError> {
        self.due = None;
        let roots: Vec<PathBuf> = self.manuals.keys().cloned().collect();
        for root in roots {
            let columns = self.columns;
            let Some(snapshot) = self.snapshot(&root.join("book.toml")) else {
                continue;
            };
            let mut found = diagnostics::of(snapshot, columns);
            let now: BTreeSet<PathBuf> = found.keys().cloned().collect();
            let before = self.shown.insert(root, now).unwrap_or_default();
            // Also report that earlier problems are gone.
            for clean in before {
                found.entry(clean).or_default();
            }
            for (file, diagnostics) in found {
                let Some(uri) = place::uri(&file) else {
                    continue;
                };
                let params = PublishDiagnosticsParams::new(uri, diagnostics, None);
                let method = "textDocument/publishDiagnostics".to_owned();
                self.send(Notification::new(method, params).into())?;
            }
        }
        Ok(())
    }

    fn answer(&mut self, request: Request) -> Response {
        let Request { id, method, params } = request;
        let answer = match method.as_str() {
            "textDocument/hover" => read(params).map(|said| self.hover(&said)),
            "textDocument/definition" => read(params).map(|said| self.definition(&said)),
            "textDocument/references" => read(params).map(|said| self.references(&said)),
            "textDocument/completion" => read(params).map(|said| self.completion(&said)),
            "textDocument/documentSymbol" => read(params).map(|said| self.symbols(&said)),
            "workspace/symbol" => read(params).map(|said| self.workspace_symbols(&said)),
            "textDocument/prepareRename" => read(params).map(|said| self.prepare_rename(&said)),
            "textDocument/rename" => match read(params) {
                // The person sees the reason.
                Ok(said) => match self.rename(&said) {
                    Ok(edit) => Ok(edit),
                    Err(why) => {
                        let code = ErrorCode::RequestFailed as i32;
                        return Response::new_err(id, code, why);
                    }
                },
                Err(why) => Err(why),
            },
            "textDocument/foldingRange" => read(params).map(|said| self.folds(&said)),
            "textDocument/selectionRange" => read(params).map(|said| self.selections(&said)),
            "textDocument/documentLink" => read(params).map(|said| self.links(&said)),
            "textDocument/inlayHint" => read(params).map(|said| self.hints(&said)),
            "textDocument/codeLens" => read(params).map(|said| self.lenses(&said)),
            "textDocument/semanticTokens/full" => read(params).map(|said| self.tokens(&said)),
            "workspace/executeCommand" => read(params).map(|said| self.command_line(&said)),
            "textDocument/codeAction" => read(params).map(|said| self.actions(&said)),
            _ => {
                let code = ErrorCode::MethodNotFound as i32;
                return Response::new_err(id, code, format!("there is no `{method}` here"));
            }
        };
        match answer {
            Ok(value) => Response::new_ok(id, value),
            Err(why) => Response::new_err(id, ErrorCode::InvalidParams as i32, why),
        }
    }

    /// The manual of a place, the file in it, its text, and the byte offset.
    fn at(
        &mut self,
        uri: &Uri,
        position: Position,
    ) -> Option<(&Snapshot, PathBuf, Arc<str>, usize)> {
        let path = place::path(uri)?;
        let (columns, open) = (self.columns, self.texts.get(&path).cloned());
        let snapshot = self.snapshot(&path)?;
        let below = snapshot.below(&path)?;
        // A file that is not open is read like all others: limited in size, and inside the project.
        let text = if let Some(text) = open {
            text
        } else {
            let text = snapshot.project.files.text(&below, MOST_BYTES);
            text.ok()?.into()
        };
        let byte = columns.byte(&text, position);
        Some((snapshot, below, text, byte))
    }

    fn hover(&mut self, said: &HoverParams) -> Value {
        let at = &said.text_document_position_params;
        let columns = self.columns;
        let Some((snapshot, file, text, byte)) = self.at(&at.text_document.uri, at.position) else {
            return Value::Null;
        };
        let Some((name, range)) = names::at(&text, byte) else {
            return Value::Null;
        };
        let about = hover::about(snapshot, &file, &text, byte, &name);
        let hover = about.map(|value| Hover {
            contents: HoverContents::Markup(MarkupContent {
                kind: MarkupKind::Markdown,
                value,
            }),
            range: Some(columns.range(&text, range)),
        });
        json(hover)
    }

    fn definition(&mut self, said: &GotoDefinitionParams) -> Value {
        let at = &said.text_document_position_params;
        let columns = self.columns;
        let Some((snapshot, file, text, byte)) = self.at(&at.text_document.uri, at.position) else {
            return Value::Null;
        };
        let name = names::at(&text, byte);
        json(name.map(|(name, _)| names::definitions(snapshot, &file, byte, &name, columns)))
    }

    fn references(&mut self, said: &ReferenceParams) -> Value {
        let at = &said.text_document_position;
        let columns = self.columns;
        let Some((snapshot, file, text, byte)) = self.at(&at.text_document.uri, at.position) else {
            return Value::Null;
        };
        let Some((name, _)) = names::at(&text, byte) else {
            return Value::Null;
        };
        let mut found: Vec<Location> = names::references(snapshot, &name, columns);
        if !said.context.include_declaration {
            let said = names::definitions(snapshot, &file, byte, &name, columns);
            found.retain(|place| !said.contains(place));
        }
        json(Some(found))
    }

    fn prepare_rename(&mut self, at: &TextDocumentPositionParams) -> Value {
        let columns = self.columns;
        let Some((snapshot, file, text, byte)) = self.at(&at.text_document.uri, at.position) else {
            return Value::Null;
        };
        let target = rename::target(snapshot, &file, &text, byte).ok();
        json(target.map(|target| columns.range(&text, target.range)))
    }

    fn rename(&mut self, said: &RenameParams) -> Result<Value, String> {
        let at = &said.text_document_position;
        let (columns, texts) = (self.columns, self.texts.clone());
        let found = self.at(&at.text_document.uri, at.position);
        let (snapshot, file, text, byte) = found.ok_or("this is not a file of a manual")?;
        let target = rename::target(snapshot, &file, &text, byte)?;
        let edits = rename::rename(snapshot, &texts, &target, &said.new_name)?;
        let mut changes = serde_json::Map::new();
        for (file, edits) in edits {
            let text = texts.get(&file).map(ToString::to_string);
            let text = text.or_else(|| std::fs::read_to_string(&file).ok());
            let (Some(text), Some(uri)) = (text, place::uri(&file)) else {
                return Err(format!("`{}` cannot be read", file.display()));
            };
            let edits = edits
                .into_iter()
                .map(|(range, new)| TextEdit::new(columns.range(&text, range), new));
            changes.insert(
                uri.as_str().to_owned(),
                json(Some(edits.collect::<Vec<_>>())),
            );
        }
        let mut edit = json(Some(WorkspaceEdit::default()));
        edit["changes"] = changes.into();
        Ok(edit)
    }

    fn folds(&mut self, said: &FoldingRangeParams) -> Value {
        let found = self.at(&said.text_document.uri, Position::default());
        json(found.map(|(_, _, text, _)| folds::of(&text)))
    }

    fn selections(&mut self, said: &SelectionRangeParams) -> Value {
        let columns = self.columns;
        let found = self.at(&said.text_document.uri, Position::default());
        json(found.map(|(_, _, text, _)| {
            let places = said.positions.iter();
            let places = places.map(|place| columns.byte(&text, *place));
            let ranges = places.map(|byte| selection::of(&text, byte, columns));
            ranges.collect::<Vec<_>>()
        }))
    }

    fn links(&mut self, said: &DocumentLinkParams) -> Value {
        let columns = self.columns;
        let found = self.at(&said.text_document.uri, Position::default());
        json(found.map(|(snapshot, file, text, _)| links::of(snapshot, &file, &text, columns)))
    }

    fn hints(&mut self, said: &InlayHintParams) -> Value {
        let columns = self.columns;
        let found = self.at(&said.text_document.uri, said.range.start);
        json(found.map(|(snapshot, file, text, start)| {
            let range = start..columns.byte(&text, said.range.end).max(start) + 1;
            hints::of(snapshot, &file, &text, &range, columns)
        }))
    }

    fn lenses(&mut self, said: &CodeLensParams) -> Value {
        let columns = self.columns;
        let found = self.at(&said.text_document.uri, Position::default());
        json(found.map(|(snapshot, file, ..)| lenses::of(snapshot, &file, columns)))
    }

    fn tokens(&mut self, said: &SemanticTokensParams) -> Value {
        let columns = self.columns;
        let found = self.at(&said.text_document.uri, Position::default());
        json(found.map(|(snapshot, file, text, _)| SemanticTokens {
            result_id: None,
            data: tokens::of(snapshot, &file, &text, columns),
        }))
    }

    /// The text of a command, for an editor with a terminal but without our commands. Nothing is
    /// executed.
    fn command_line(&mut self, said: &ExecuteCommandParams) -> Value {
        let root = self.manuals.keys().next().cloned().unwrap_or_default();
        let known = said.command == lenses::LINE;
        json(
            known
                .then(|| lenses::line(&said.arguments, &root))
                .flatten(),
        )
    }

    fn completion(&mut self, said: &CompletionParams) -> Value {
        let at = &said.text_document_position;
        match self.at(&at.text_document.uri, at.position) {
            Some((snapshot, file, text, byte)) => {
                json(Some(completion::at(snapshot, &file, &text, byte)))
            }
            None => Value::Null,
        }
    }

    fn symbols(&mut self, said: &DocumentSymbolParams) -> Value {
        let columns = self.columns;
        match self.at(&said.text_document.uri, Position::default()) {
            Some((snapshot, file, ..)) => json(Some(symbols::of_page(snapshot, &file, columns))),
            None => Value::Null,
        }
    }

    fn workspace_symbols(&mut self, said: &WorkspaceSymbolParams) -> Value {
        let roots: Vec<PathBuf> = self.manuals.keys().cloned().collect();
        let columns = self.columns;
        let mut found = Vec::new();
        for root in roots {
            if let Some(snapshot) = self.snapshot(&root.join("book.toml")) {
                found.extend(symbols::of_manual(snapshot, &said.query, columns));
            }
        }
        json(Some(found))
    }

    fn actions(&mut self, said: &CodeActionParams) -> Value {
        let columns = self.columns;
        let uri = &said.text_document.uri;
        match self.at(uri, said.range.start) {
            Some((_, _, text, _)) => {
                let found = actions::of(&text, uri, &said.context.diagnostics, columns);
                json(Some(found))
            }
            None => Value::Null,
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(params: Value) -> Result<T, String> {
    serde_json::from_value(params).map_err(|error| error.to_string())
}

fn json(value: Option<impl serde::Serialize>) -> Value {
    // This cannot fail for the protocol's types: their keys are texts.
    value.map_or(Value::Null, |value| {
        serde_json::to_value(value).unwrap_or_default()
    })
}
