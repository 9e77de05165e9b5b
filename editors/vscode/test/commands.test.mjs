// The commands: a line is typed as a person would write it, and nothing is run.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { Commands, line, quoted } from "../commands.js";

function desk(answers, folder = "/srv/ops") {
  const typed = [];
  const asked = [];
  let node;
  const commands = new Commands({
    program: () => "opsbook",
    folder: async () => folder,
    list: async ([what]) =>
      what === "list"
        ? { v: 1, procedures: [{ id: "web.deploy", title: "Deploy" }] }
        : { v: 1, nodes: [{ node: "web1", groups: ["web", "prod"] }, { node: "web2", groups: [] }] },
    ask: async (choices, title) => {
      asked.push([title, choices]);
      return answers.shift();
    },
    type: (text) => typed.push(text),
    remember: { get: () => node, set: async (name) => void (node = name) },
  });
  return { commands, typed, asked };
}

test("a run is typed for the procedure and the node that were chosen", async () => {
  const { commands, typed, asked } = desk(["web.deploy", "web1", "web.deploy"]);
  await commands.run();
  assert.deepEqual(typed, ["opsbook -C /srv/ops run web.deploy web1"]);
  assert.deepEqual(asked[1][1][0], { label: "web1", description: "@web @prod" });
  await commands.run();
  assert.equal(asked.length, 3, "the node is asked for once");
});

test("a question that nobody answers types nothing", async () => {
  for (const answers of [[], ["web.deploy"]]) {
    const { commands, typed } = desk(answers);
    await commands.run();
    assert.deepEqual(typed, []);
  }
});

test("what the server offers above a contract is typed, with the node", async () => {
  const { commands, typed } = desk(["web1"]);
  await commands.offered(["run", "web.deploy", "--start-at", "install"]);
  await commands.offered(["test", "web::"]);
  for (const words of [undefined, "run", ["sh", "-c", "x"], ["run", 1]]) await commands.offered(words);
  assert.deepEqual(typed, [
    "opsbook -C /srv/ops run web.deploy web1 --start-at install",
    "opsbook -C /srv/ops test web::",
  ]);
});

test("the node is chosen anew by its own command", async () => {
  const { commands, typed } = desk(["web1", "web2"]);
  await commands.show();
  await commands.node(true);
  await commands.test();
  assert.deepEqual(typed, ["opsbook -C /srv/ops show web1", "opsbook -C /srv/ops test --nodes web2"]);
});

test("a shell reads each word as it was meant", () => {
  for (const word of ["a b", "it's", "$(id)", "`id`", "a;b", "", "--x=1", "ü", "a\nb"]) {
    const said = execFileSync("sh", ["-c", `printf %s ${quoted(word)}`]).toString();
    assert.equal(said, word);
  }
  assert.equal(line("opsbook", "/srv/my ops", ["serve"]), "opsbook -C '/srv/my ops' serve");
});

// The real program, where a test of the whole project gives it.
const opsbook = process.env.OPSBOOK_PROGRAM;
test("what the real program lists is understood", { skip: !opsbook && "OPSBOOK_PROGRAM is not set" }, async () => {
  const folder = process.env.OPSBOOK_MANUAL;
  const seen = [];
  const commands = new Commands({
    program: () => "opsbook",
    folder: async () => folder,
    list: async (words) => JSON.parse(execFileSync(opsbook, ["-C", folder, ...words]).toString()),
    ask: async (choices) => {
      seen.push(...choices.map(({ label }) => label));
      return choices[0].label;
    },
    type: (text) => seen.push(text),
    remember: { get: () => undefined, set: async () => {} },
  });
  await commands.run();
  assert.ok(seen.every((text) => typeof text === "string" && text.length > 0), `${seen}`);
  assert.match(seen.at(-1), /^opsbook -C \S+ run [\w.-]+ [\w.-]+$/);
});
