// The grammar in VS Code's own engine, over the grammar of Markdown that VS Code ships.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { execFileSync } from "node:child_process";
import onig from "vscode-oniguruma";
import tm from "vscode-textmate";

const require = createRequire(import.meta.url);
const here = new URL("..", import.meta.url);
const own = JSON.parse(readFileSync(new URL("syntaxes/opsbook.tmLanguage.json", here), "utf8"));

const shipped = {};
for (const name of ["markdown", "shellscript", "python", "yaml", "json", "ini"]) {
  const all = (await import(`@shikijs/langs/${name}`)).default;
  for (const grammar of all) shipped[grammar.scopeName] ??= grammar;
}
shipped[own.scopeName] = own;

const wasm = readFileSync(require.resolve("vscode-oniguruma/release/onig.wasm"));
await onig.loadWASM(wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.byteLength));
const registry = new tm.Registry({
  onigLib: Promise.resolve({
    createOnigScanner: (sources) => new onig.OnigScanner(sources),
    createOnigString: (text) => new onig.OnigString(text),
  }),
  loadGrammar: async (scope) => shipped[scope] && { ...shipped[scope], injections: undefined },
  getInjections: (scope) => (scope === "text.html.markdown" ? [own.scopeName] : undefined),
});
const markdown = await registry.loadGrammar("text.html.markdown");

// What each piece of a line is: [text, its scopes], in order.
function read(text) {
  let stack = tm.INITIAL;
  return text.split("\n").map((line) => {
    const { tokens, ruleStack } = markdown.tokenizeLine(line, stack);
    stack = ruleStack;
    const pieces = tokens.map((token) => [line.slice(token.startIndex, token.endIndex), token.scopes.join(" ")]);
    return pieces.reduce((joined, [part, scopes]) => {
      const last = joined.at(-1);
      if (last?.[1] === scopes) last[0] += part;
      else joined.push([part, scopes]);
      return joined;
    }, []);
  });
}

function scope(text, line, piece) {
  const found = read(text)[line].find(([part]) => part.trim() === piece);
  assert.ok(found, `no ${piece} in line ${line}: ${JSON.stringify(read(text)[line])}`);
  return found[1];
}

test("the grammar is what grammar.mjs makes", () => {
  const path = new URL("syntaxes/opsbook.tmLanguage.json", here);
  const before = readFileSync(path, "utf8");
  execFileSync("node", ["grammar.mjs"], { cwd: here });
  assert.equal(readFileSync(path, "utf8"), before);
});

test("kind and attributes have scopes of their own", () => {
  const text = "```sh step id=unpack timeout=5m sudo\necho \"$version\"\n```\nafter `code`\n";
  assert.match(scope(text, 0, "sh"), /fenced_code.block.language/);
  assert.match(scope(text, 0, "step"), /storage.type.kind.opsbook/);
  assert.match(scope(text, 0, "id"), /entity.other.attribute-name.opsbook/);
  assert.match(scope(text, 0, "unpack"), /string.unquoted.attribute-value.opsbook/);
  assert.match(scope(text, 0, "sudo"), /entity.other.attribute-name.opsbook/);
  assert.match(scope(text, 1, "echo"), /meta.embedded.block.opsbook.sh.*support.function.builtin/);
  assert.match(scope(text, 1, "version"), /variable/);
  assert.match(scope(text, 3, "code"), /inline.raw/);
});

test("python3, yaml and json are read as what they are", () => {
  assert.match(scope("```python3 check id=a\nimport os\n```\n", 1, "import"), /meta.embedded.block.opsbook.python.*keyword.control.import/);
  assert.match(scope("```yaml procedure\nid: a.b\n```\n", 1, "id"), /entity.name.tag.yaml/);
  const json = '```json expect\n{"port": 8000}\n...\n```\n';
  assert.match(scope(json, 1, "8000"), /meta.embedded.block.opsbook.json.*constant.numeric/);
  assert.match(scope(json, 2, "..."), /comment.line.elision/);
});

test("a transcript has commands and elisions", () => {
  const text = "```console check id=x\n$ df -h /\nFilesystem ${disk}\n...\n```\n";
  assert.match(scope(text, 1, "$"), /punctuation.separator.prompt/);
  assert.match(scope(text, 1, "df"), /entity.name.function.call|entity.name.command/);
  assert.match(scope(text, 2, "${disk}"), /variable.other.value.opsbook/);
  assert.match(scope(text, 3, "..."), /comment.line.elision/);
});

test("the words of a comment tag", () => {
  const text = "<!-- opsbook: check id=nginx.config -->\n```sh\nnginx -t\n```\n";
  assert.match(scope(text, 0, "check"), /storage.type.kind.opsbook/);
  assert.match(scope(text, 0, "nginx.config"), /string.unquoted.attribute-value.opsbook/);
  assert.match(scope(text, 2, "nginx"), /meta.embedded.block.shellscript/);
});

test("fences in lists, of tildes, and within longer fences", () => {
  const list = "1. Do it:\n\n   ```sh step id=a\n   true\n   ```\n\n   *text*\n";
  assert.match(scope(list, 2, "step"), /storage.type.kind.opsbook/);
  assert.match(scope(list, 3, "true"), /meta.embedded.block.opsbook.sh/);
  assert.doesNotMatch(scope(list, 6, "text"), /meta.embedded/);
  const tildes = "~~~sh check id=a\ntrue\n~~~\n*text*\n";
  assert.match(scope(tildes, 0, "check"), /storage.type.kind.opsbook/);
  assert.doesNotMatch(scope(tildes, 3, "text"), /meta.embedded/);
  const longer = "````markdown example\n```sh step id=a\ntrue\n```\n````\n*text*\n";
  assert.doesNotMatch(scope(longer, 5, "text"), /fenced_code/);
});

test("other blocks are as Markdown's grammar has them", () => {
  for (const text of ["```sh\necho\n```\n*a*\n", "```rust,no_run\nfn main() {}\n```\n*a*\n", "```sh stepping\ntrue\n```\n*a*\n"]) {
    assert.ok(read(text).slice(0, 3).every((line) => line.every(([, scopes]) => !scopes.includes("opsbook"))), text);
    assert.match(scope(text, 3, "a"), /markup.italic/);
  }
});
