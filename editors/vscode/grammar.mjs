// Writes syntaxes/opsbook.tmLanguage.json: what Markdown's own grammar does not know of a block
// of opsbook. The words after the language have scopes of their own, `python3` and transcripts
// are coloured, and so are `${name}` in expectations and the words of a comment tag.
//
// A rule of the core grammar cannot be changed from outside, so each language has a rule here
// that is asked first (`L:`) and matches only where a kind stands behind the language.
import { writeFileSync } from "node:fs";

const kinds = "procedure|checks|step|check|expect|deliver|file|manual|each|example";

// The words behind a kind: attributes, and values with what they refer to.
const words = {
  patterns: [
    {
      match: "([A-Za-z][A-Za-z0-9_-]*)(=)([^\\s`~}]*)",
      captures: {
        1: { name: "entity.other.attribute-name.opsbook" },
        2: { name: "punctuation.separator.key-value.opsbook" },
        3: { name: "string.unquoted.attribute-value.opsbook" },
      },
    },
    { match: "[A-Za-z][A-Za-z0-9_-]*", name: "entity.other.attribute-name.opsbook" },
  ],
};

const value = { match: "\\$\\{[a-z][a-z0-9_]*\\}", name: "variable.other.value.opsbook" };
const elision = { match: "^\\s*(\\.\\.\\.)\\s*$", captures: { 1: { name: "comment.line.elision.opsbook" } } };

// `tagged` is the language and the words; the fence ends with as many signs as it began with.
const fence = (name, languages, only, body) => ({
  begin: `(^|\\G)(\\s*)([\`~]{3,})\\s*(?i:(${languages}))\\s+(${only})(?![\\w-])([^\`]*)$`,
  end: "(^|\\G)(\\2|\\s{0,3})(\\3)\\s*$",
  name: "markup.fenced_code.block.markdown",
  beginCaptures: {
    3: { name: "punctuation.definition.markdown" },
    4: { name: "fenced_code.block.language.markdown" },
    5: { name: "storage.type.kind.opsbook" },
    6: { patterns: [{ include: "#words" }] },
  },
  endCaptures: { 3: { name: "punctuation.definition.markdown" } },
  patterns: [
    {
      begin: "(^|\\G)(\\s*)(.*)",
      while: "(^|\\G)(?!\\s*([`~]{3,})\\s*$)",
      contentName: `meta.embedded.block.opsbook.${name}`,
      patterns: body,
    },
  ],
});

const grammar = {
  $schema: "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
  name: "opsbook",
  scopeName: "markdown.opsbook.injection",
  injectionSelector: "L:text.html.markdown -meta.embedded -markup.fenced_code",
  comment: "Made by grammar.mjs.",
  patterns: [{ include: "#tag" }, { include: "#sh" }, { include: "#python" }, { include: "#yaml" }, { include: "#json" }, { include: "#ini" }, { include: "#text" }],
  repository: {
    words,
    tag: {
      match: `(<!--)\\s*(opsbook:)\\s*(${kinds})(?![\\w-])(.*?)(-->)`,
      name: "comment.block.html",
      captures: {
        1: { name: "punctuation.definition.comment.html" },
        2: { name: "keyword.control.opsbook" },
        3: { name: "storage.type.kind.opsbook" },
        4: { patterns: [{ include: "#words" }] },
        5: { name: "punctuation.definition.comment.html" },
      },
    },
    sh: fence("sh", "sh|bash|dash|ash|ksh|zsh|shell", kinds, [{ include: "source.shell" }]),
    python: fence("python", "python3?(?:\\.\\d+)?", kinds, [{ include: "source.python" }]),
    yaml: fence("yaml", "ya?ml", kinds, [value, { include: "source.yaml" }]),
    json: fence("json", "json", kinds, [elision, { include: "source.json" }]),
    ini: fence("ini", "ini|conf|toml", kinds, [{ include: "source.ini" }]),
    text: fence("text", "text|txt|console|shell-session", kinds, [
      {
        begin: "^\\s*([$#])\\s",
        end: "$",
        beginCaptures: { 1: { name: "punctuation.separator.prompt.shell" } },
        // The shell's own grammar knows a command by what stands before it on the line.
        patterns: [{ match: "\\G[\\w./-]+", name: "entity.name.function.call.shell" }, { include: "source.shell" }],
      },
      elision,
      value,
    ]),
  },
};

writeFileSync(new URL("syntaxes/opsbook.tmLanguage.json", import.meta.url), JSON.stringify(grammar, null, 2) + "\n");
