//! A real editor, headless, with the settings that the manual gives.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test ends where something is wrong"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A person's actions: opens a page with an error, sees it, applies the fix, hovers over a value.
/// Each printed line is compared.
const DOES: &str = r#"
local function wait(what)
  assert(vim.wait(20000, what, 20), 'it did not come to pass')
end
local function here()
  return vim.diagnostic.get(0)
end
vim.cmd('edit manual/hello.md')
wait(function() return #here() == 1 end)
local found = here()[1]
print(string.format('%d:%d-%d %s %s', found.lnum + 1, found.col + 1, found.end_col + 1, found.code, found.message:match('[^\n]*')))

local params = {
  textDocument = vim.lsp.util.make_text_document_params(),
  range = { start = { line = found.lnum, character = found.col }, ['end'] = { line = found.lnum, character = found.end_col } },
  context = { diagnostics = { found.user_data and found.user_data.lsp and {
    range = { start = { line = found.lnum, character = found.col }, ['end'] = { line = found.lnum, character = found.end_col } },
    message = found.message, code = found.code, data = { hint = found.message:match('hint: (.*)') },
  } or nil } },
}
local client = vim.lsp.get_active_clients()[1]
local reply = client.request_sync('textDocument/codeAction', params, 20000, 0)
print(reply.result[1].title)
vim.lsp.util.apply_workspace_edit(reply.result[1].edit, client.offset_encoding)
wait(function() return #here() == 0 end)
print(vim.api.nvim_buf_get_lines(0, found.lnum, found.lnum + 1, false)[1])

for number, line in ipairs(vim.api.nvim_buf_get_lines(0, 0, -1, false)) do
  local column = line:find('words" "', 1, true)
  if column then
    local about = client.request_sync('textDocument/hover', {
      textDocument = vim.lsp.util.make_text_document_params(),
      position = { line = number - 1, character = column },
    }, 20000, 0)
    print((about.result.contents.value:match('[^\n]*')))
    local renamed = client.request_sync('textDocument/rename', {
      textDocument = vim.lsp.util.make_text_document_params(),
      position = { line = number - 1, character = column },
      newName = 'greeting',
    }, 20000, 0)
    vim.lsp.util.apply_workspace_edit(renamed.result, client.offset_encoding)
    print((vim.api.nvim_buf_get_lines(0, number - 1, number, false)[1]:match('greeting')))
    wait(function() return #here() == 0 end)
    local lenses = client.request_sync('textDocument/codeLens', {
      textDocument = vim.lsp.util.make_text_document_params(),
    }, 20000, 0)
    print(lenses.result[1].command.title)
    break
  end
end
vim.cmd('qall!')
"#;

#[test]
fn neovim_shows_a_mistake_repairs_it_and_says_what_a_value_is() {
    if !Path::new("/usr/bin/nvim").exists() {
        let wanted = std::env::var_os("CI").is_some() && rustix::process::getuid().is_root();
        assert!(!wanted, "neovim is not installed");
        eprintln!("skipped: there is no neovim here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let opsbook = env!("CARGO_BIN_EXE_opsbook");
    let init = Command::new(opsbook)
        .arg("init")
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(init.status.success());
    let page = folder.join("manual/hello.md");
    let text = fs::read_to_string(&page).unwrap();
    fs::write(page, text.replace("sh step id=write", "sh stpe id=write")).unwrap();
    // The settings come from the manual's page.
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("manual/guide/editors.md");
    let manual = fs::read_to_string(manual).unwrap();
    let settings = manual.split_once("```lua example\n").unwrap().1;
    let settings = settings.split_once("```").unwrap().0;
    fs::write(folder.join("init.lua"), settings.to_owned() + DOES).unwrap();
    let path = format!(
        "{}:{}",
        Path::new(opsbook).parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let said = Command::new("timeout")
        .args([
            "100",
            "nvim",
            "--headless",
            "-u",
            "NONE",
            "-i",
            "NONE",
            "-n",
            "-c",
            "luafile init.lua",
        ])
        .current_dir(folder)
        .env("HOME", folder)
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&said.stderr).replace('\r', "");
    let lines: Vec<&str> = out.lines().filter(|line| !line.trim().is_empty()).collect();
    let line = text
        .lines()
        .position(|line| line.contains("sh step id=write"))
        .unwrap()
        + 1;
    let expected = [
        format!("{line}:10-14 unknown-kind unknown kind `stpe`"),
        "write `step`".to_owned(),
        "   ```sh step id=write".to_owned(),
        "**words** parameter of `hello.greet`, `Hello` by default, as `[A-Za-z ]+`".to_owned(),
        "greeting".to_owned(),
        "run".to_owned(),
    ];
    assert_eq!(lines, expected, "{out}");
}
