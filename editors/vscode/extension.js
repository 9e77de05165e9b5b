// opsbook in VS Code: the language server, and commands that type a line into a terminal.
"use strict";

const { execFile } = require("node:child_process");
const path = require("node:path");
const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");
const { Commands } = require("./commands.js");

let client;

const program = () => vscode.workspace.getConfiguration("opsbook").get("path") || "opsbook";

// The manual of the page at hand: the nearest folder upwards with a book.toml.
async function manual() {
  const page = vscode.window.activeTextEditor?.document.uri;
  const workspace = (page && vscode.workspace.getWorkspaceFolder(page)) ?? vscode.workspace.workspaceFolders?.[0];
  let folder = page?.scheme === "file" ? path.dirname(page.fsPath) : workspace?.uri.fsPath;
  for (let at = folder; at && at !== path.dirname(at); at = path.dirname(at)) {
    try {
      await vscode.workspace.fs.stat(vscode.Uri.file(path.join(at, "book.toml")));
      return at;
    } catch {
      // Further up.
    }
  }
  folder = workspace?.uri.fsPath ?? folder;
  if (!folder) throw new Error("no manual is open");
  return folder;
}

async function list(words) {
  const folder = await manual();
  return new Promise((resolve, reject) => {
    const options = { cwd: folder, timeout: 10_000, maxBuffer: 16 << 20 };
    execFile(program(), ["-C", folder, ...words], options, (error, stdout, stderr) => {
      try {
        // A manual with mistakes is listed, too.
        resolve(JSON.parse(stdout));
      } catch {
        reject(new Error(stderr.split("\n")[0] || error?.message || "no message"));
      }
    });
  });
}

async function start() {
  const server = { command: program(), args: ["lsp"] };
  const client = new LanguageClient("opsbook", "opsbook", server, {
    initializationOptions: {
      inlayHints: vscode.workspace.getConfiguration("opsbook").get("inlayHints") === true,
    },
    documentSelector: [
      { scheme: "file", language: "markdown" },
      { scheme: "file", language: "yaml" },
      { scheme: "file", language: "toml" },
    ],
  });
  await client.start();
  return client;
}

async function restart() {
  const old = client;
  client = undefined;
  await old?.stop().catch(() => {});
  try {
    client = await start();
  } catch (error) {
    const choice = await vscode.window.showErrorMessage(
      `\`${program()} lsp\` did not start: ${error.message}. Install opsbook, or set its path.`,
      "Settings",
    );
    if (choice === "Settings") await vscode.commands.executeCommand("workbench.action.openSettings", "opsbook.path");
  }
}

function terminal() {
  const known = vscode.window.terminals.find(({ name, exitStatus }) => name === "opsbook" && !exitStatus);
  return known ?? vscode.window.createTerminal("opsbook");
}

async function activate(context) {
  const commands = new Commands({
    program,
    list,
    folder: manual,
    ask: async (choices, title) => (await vscode.window.showQuickPick(choices, { title, matchOnDescription: true }))?.label,
    type: (text) => {
      const at = terminal();
      at.show();
      // Ctrl-U: what was typed before, and not entered, goes.
      at.sendText(`\u0015${text}`, false);
    },
    remember: {
      get: () => context.workspaceState.get("node"),
      set: (node) => context.workspaceState.update("node", node),
    },
  });
  const told = (action) => async () => {
    if (!vscode.workspace.isTrusted) {
      return vscode.window.showWarningMessage("opsbook types commands only in trusted folders");
    }
    try {
      await action();
    } catch (error) {
      vscode.window.showErrorMessage(`opsbook: ${error.message}`);
    }
  };
  const actions = {
    "opsbook.run": told(() => commands.run()),
    "opsbook.test": told(() => commands.test()),
    "opsbook.show": told(() => commands.show()),
    "opsbook.type": (words) => told(() => commands.offered(words))(),
    "opsbook.preview": told(() => commands.preview()),
    "opsbook.node": told(() => commands.node(true)),
    "opsbook.restart": restart,
  };
  for (const [name, action] of Object.entries(actions)) {
    context.subscriptions.push(vscode.commands.registerCommand(name, action));
  }
  context.subscriptions.push(
    vscode.workspace.onDidChangeConfiguration((change) => change.affectsConfiguration("opsbook") && restart()),
  );
  await restart();
}

module.exports = { activate, deactivate: () => client?.stop() };
