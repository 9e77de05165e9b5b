// What the commands do. They never run anything themselves: the line is typed into a terminal,
// and the person presses Enter.
"use strict";

// A word as a POSIX shell takes it.
function quoted(word) {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

// The line of a command, for a shell that may stand in any folder.
function line(program, folder, words) {
  return [program, "-C", folder, ...words].map(quoted).join(" ");
}

// `ask` is given choices and returns the chosen one's name; `list` gives the JSON of a command.
class Commands {
  constructor({ program, folder, ask, list, type, remember }) {
    Object.assign(this, { program, folder, ask, list, type, remember });
  }

  async procedure() {
    const { procedures } = await this.list(["list", "--format", "json"]);
    const choices = procedures.map(({ id, title }) => ({ label: id, description: title }));
    return this.ask(choices, "Which procedure?");
  }

  // The node is asked for once, and again by its own command.
  async node(anew = false) {
    const known = anew ? undefined : this.remember.get();
    if (known) return known;
    const { nodes } = await this.list(["nodes", "--format", "json"]);
    const choices = nodes.map(({ node, groups }) => ({
      label: node,
      description: (groups ?? []).map((group) => `@${group}`).join(" "),
    }));
    const chosen = await this.ask(choices, "Which node?");
    if (chosen) await this.remember.set(chosen);
    return chosen;
  }

  async typed(words) {
    this.type(line(this.program(), await this.folder(), words));
  }

  async run() {
    const procedure = await this.procedure();
    const node = procedure && (await this.node());
    if (node) await this.typed(["run", procedure, node]);
  }

  async test() {
    const node = await this.node();
    if (node) await this.typed(["test", "--nodes", node]);
  }

  async show() {
    const node = await this.node();
    if (node) await this.typed(["show", node]);
  }

  // A line that the server offers above a contract: its words, and the node that it lacks.
  async offered(words) {
    const known = ["run", "test", "show", "log"];
    if (!Array.isArray(words) || !known.includes(words[0]) || words.some((word) => typeof word !== "string")) return;
    if (words[0] !== "run") return this.typed(words);
    const node = await this.node();
    if (node) await this.typed([...words.slice(0, 2), node, ...words.slice(2)]);
  }

  async preview() {
    await this.typed(["serve"]);
  }
}

module.exports = { Commands, line, quoted };
