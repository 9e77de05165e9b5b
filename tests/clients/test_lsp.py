"""The server as real editors speak to it: each with what it says that it can do.

`tests/all.sh` runs it, with pytest-lsp in a folder of its own; OPSBOOK_PROGRAM names the program.
"""

import os
import subprocess

import pytest_lsp
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

PROGRAM = os.environ["OPSBOOK_PROGRAM"]
EDITORS = ["neovim@0.11", "visual_studio_code", "emacs"]
# Which positions the server chooses.
ENCODINGS = {"neovim@0.11": "utf-8", "visual_studio_code": "utf-16", "emacs": "utf-8"}

PAGE = """# Backup

## Make one

Ünïcode before what is meant: 🚀.

```yaml procedure
id: notes.backup
params:
  number: {default: "1", help: which one}
```

```sh step id=write
touch "$HOME/backup-$number"
```

```sh check id=there
echo "ü 🚀 $number"
```
"""


@pytest_lsp.fixture(
    config=ClientServerConfig(server_command=[PROGRAM, "lsp", "--stdio"]), params=EDITORS
)
async def client(request, lsp_client: LanguageClient, tmp_path):
    subprocess.run([PROGRAM, "init", "ops"], cwd=tmp_path, check=True, capture_output=True)
    ops = tmp_path / "ops"
    with open(ops / "manual" / "SUMMARY.md", "a", encoding="utf-8") as summary:
        summary.write("- [Backup](backup.md)\n")
    page = ops / "manual" / "backup.md"
    page.write_text(PAGE, encoding="utf-8")
    answer = await lsp_client.initialize_session(
        types.InitializeParams(
            capabilities=client_capabilities(request.param),
            workspace_folders=[types.WorkspaceFolder(uri=ops.as_uri(), name="ops")],
        )
    )
    lsp_client.about = answer
    lsp_client.uri = page.as_uri()
    lsp_client.editor = request.param
    yield
    await lsp_client.shutdown_session()


def place(client, text, word, after=0):
    """The position of a word, in what the editor counts."""
    at = text.index(word) + after
    before = text[:at].rsplit("\n", 1)[-1]
    how = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2)}[ENCODINGS[client.editor]]
    return types.Position(
        line=text[:at].count("\n"), character=len(before.encode(how[0])) // how[1]
    )


async def shown(client, text, version):
    """Writes a text, and waits for what the server says of it."""
    client.diagnostics.pop(client.uri, None)
    client.text_document_did_change(
        types.DidChangeTextDocumentParams(
            text_document=types.VersionedTextDocumentIdentifier(uri=client.uri, version=version),
            content_changes=[types.TextDocumentContentChangeWholeDocument(text=text)],
        )
    )
    await client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    return list(client.diagnostics.get(client.uri, []))


async def test_a_mistake_is_shown_and_goes_and_names_are_known(client: LanguageClient):
    assert client.about.server_info.name == "opsbook"
    chosen = client.about.capabilities.position_encoding
    assert chosen == ENCODINGS[client.editor], chosen
    document = types.TextDocumentIdentifier(uri=client.uri)
    client.text_document_did_open(
        types.DidOpenTextDocumentParams(
            text_document=types.TextDocumentItem(
                uri=client.uri, language_id="markdown", version=0, text=PAGE
            )
        )
    )

    # A mistake behind letters that editors count in different ways.
    wrong = PAGE.replace('🚀 $number"', '🚀 $nubmer"')
    (found,) = await shown(client, wrong, 1)
    assert found.message == "`nubmer` is not defined for node `here`\nhint: did you mean `number`?"
    assert found.severity == types.DiagnosticSeverity.Error
    assert found.code == "undefined-variable"
    assert found.source == "opsbook"
    assert found.range.start == place(client, wrong, "nubmer"), found.range
    assert found.range.end == place(client, wrong, "nubmer", 6), found.range
    assert await shown(client, PAGE, 2) == []

    # Half a word on a fence.
    half = PAGE.replace("sh check id=there", "sh check id=there ti")
    assert [one.severity for one in await shown(client, half, 3)] == [types.DiagnosticSeverity.Error]
    answer = await client.text_document_completion_async(
        types.CompletionParams(
            text_document=document, position=place(client, half, "id=there ti", 11)
        )
    )
    items = answer.items if isinstance(answer, types.CompletionList) else answer
    assert "timeout" in [item.label for item in items], items
    assert await shown(client, PAGE, 4) == []

    at = place(client, PAGE, '🚀 $number"', 4)
    about = await client.text_document_hover_async(
        types.HoverParams(text_document=document, position=at)
    )
    assert "number" in about.contents.value and "which one" in about.contents.value, about

    edit = await client.text_document_rename_async(
        types.RenameParams(text_document=document, position=at, new_name="count")
    )
    edits = edit.changes[client.uri]
    lines = PAGE.split("\n")
    starts = sorted((one.range.start.line, one.new_text) for one in edits)
    assert [(lines[line], text) for line, text in starts] == [
        ('  number: {default: "1", help: which one}', "count"),
        ('touch "$HOME/backup-$number"', "count"),
        ('echo "ü 🚀 $number"', "count"),
    ]
