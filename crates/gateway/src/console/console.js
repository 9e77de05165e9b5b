// The book as console: on each procedure's card who may run it where, and a button; beside each
// step its state, what it prints, and the question where it stands. All text is set as text.
// Without this file the page is a book.

const LIVE = ["queued", "running", "halted", "waiting-approval"];
const WORDS = {
  leased: "running",
  queued: "waits for a runner",
  unseen: "no contact with its runner since",
  "waiting-approval": "waits for approval",
};
// More of an output stays with the gateway.
const SHOWN = 32768;
const manual = document.querySelector('meta[name="opsbook-manual"]')?.content ?? "";
const ofManual = `manual=${encodeURIComponent(manual)}`;
const build = document.querySelector('meta[name="opsbook-build"]')?.content;

const make = (tag, words = {}, ...inside) => {
  const node = Object.assign(document.createElement(tag), words);
  node.append(...inside.filter((part) => part !== null && part !== undefined));
  return node;
};
const button = (text, act, words = {}) => {
  const made = make("button", { type: "button", textContent: text, ...words });
  made.addEventListener("click", () => busy(made, act));
  return made;
};
const busy = async (control, act) => {
  control.disabled = true;
  try {
    await act();
  } finally {
    control.disabled = false;
  }
};

class Refused extends Error {
  constructor(problem) {
    super(problem.detail || problem.title || "the gateway refused it");
    this.kind = problem.type;
  }
}

const ask = async (path, body, more = {}) => {
  const sent = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, { ...sent, headers: { "opsbook-api": "1", ...more } });
  } catch {
    throw new Refused({ detail: "the gateway does not answer" });
  }
  const read = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(read);
  return read;
};

const clock = (time) => new Date(time).toLocaleTimeString();

// A card of a procedure, with the run that is shown in it.
class Card {
  constructor(element, view, shown) {
    Object.assign(this, { element, view, shown });
    this.steps = new Map(view.steps.map((step) => [step.number, step.name]));
    this.lives = new Map();
    this.said = make("p", { className: "opsc-said" });
    this.said.setAttribute("role", "status");
    this.run = make("div", { className: "opsc-run" });
    this.runs = make("ul", { className: "opsc-runs" });
    const before = make("details", {}, make("summary", { textContent: "Earlier runs" }), this.runs);
    this.panel = make("section", { className: "opsc" }, this.form(), this.said, this.run, before);
    this.panel.setAttribute("aria-label", `Run ${view.id}`);
    element.append(this.panel);
  }

  say(text, bad = false) {
    this.said.textContent = text;
    this.said.classList.toggle("opsc-bad", bad);
  }

  // Does something, and says why it did not happen.
  async doing(act) {
    try {
      await act();
    } catch (error) {
      this.say(error.message, true);
      if (error.kind === "changed" || error.kind === "not-found") {
        this.said.append(" ", button("reload the page", () => location.reload()));
      }
    }
  }

  form() {
    const { view } = this;
    const names = make("datalist", { id: `opsc-${view.id}` });
    names.append(...view.nodes.slice(0, 1000).map((value) => make("option", { value })));
    const example = view.roles.length ? view.roles.map((role) => `${role}=NODE`).join(" ") : "node or selector";
    const nodes = make("input", { name: "nodes", required: true, placeholder: example, autocomplete: "off" });
    nodes.setAttribute("list", names.id);
    nodes.setAttribute("aria-label", "Nodes");
    nodes.value = view.nodes.length === 1 ? view.nodes[0] : "";
    const go = make("button", { className: "opsc-go" });
    const title = () => { go.textContent = nodes.value.trim() ? `run on ${nodes.value.trim()}` : "run"; };
    nodes.addEventListener("input", title);
    title();
    const inputs = view.parameters.map((parameter) => {
      const input = make("input", { name: parameter.name, value: parameter.default ?? "", required: parameter.default === undefined });
      return make("label", { title: parameter.about ?? "" }, `${parameter.name} `, input);
    });
    const reason = make("input", { name: "opsc-reason", placeholder: "reason (optional)" });
    reason.setAttribute("aria-label", "Reason");
    const form = make("form", {}, nodes, names, ...inputs, reason, go);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      busy(go, () => this.doing(() => this.start(form, nodes.value.trim(), reason.value.trim())));
    });
    return form;
  }

  async start(form, nodes, reason) {
    if (this.shown === undefined) throw new Refused({ type: "changed", detail: "this page is from an earlier build of the book" });
    const wanted = { manual, procedure: this.view.id, nodes: nodes.split(/\s+/), page_sha256: this.shown, arguments: {} };
    if (reason) wanted.reason = reason;
    for (const { name, default: usual } of this.view.parameters) {
      const value = form.elements.namedItem(name).value;
      if (value !== (usual ?? "")) wanted.arguments[name] = value;
    }
    this.say("");
    const asked = await ask("/v1/asks", wanted, { "idempotency-key": crypto.randomUUID() });
    this.show(asked.run);
    await this.list();
  }

  // The latest runs; the one that is not over is shown.
  async list(open = false) {
    const page = await ask(`/v1/runs?${ofManual}&procedure=${encodeURIComponent(this.view.id)}`);
    const runs = page.runs.slice(0, 10);
    this.runs.replaceChildren(...runs.map((run) => make("li", {},
      button(run.run, () => this.show(run.run)),
      ` ${run.nodes.join(" ")}: ${run.status ?? run.state}, ${run.asked_by}`,
      run.break_glass ? make("strong", { className: "opsc-bad", textContent: ` BREAK GLASS: ${run.break_glass}` }) : null)));
    if (!runs.length) this.runs.append(make("li", { textContent: "none" }));
    const live = runs.find((run) => LIVE.includes(run.state));
    if (open && live) this.show(live.run);
  }

  show(run) {
    this.source?.close();
    for (const live of this.lives.values()) live.box.remove();
    this.lives.clear();
    this.name = run;
    this.drawn = "";
    this.exactly = undefined;
    this.run.replaceChildren();
    this.source = new EventSource(`/v1/runs/${encodeURIComponent(run)}/events`);
    const on = (kind, act) => this.source.addEventListener(kind, (event) => {
      this.heard = new Date();
      act(JSON.parse(event.data));
    });
    on("state", (view) => this.draw(view));
    on("output", (event) => this.live(event)?.print(event));
    for (const kind of ["step-started", "step-attached"]) on(kind, (event) => this.live(event)?.state("running"));
    on("step-found", (event) => this.live(event)?.state(`found on ${event.from ?? "the node"}`));
    on("step-ended", (event) => this.live(event)?.state(event.status, event.cause));
    on("connection-lost", (event) => this.live(event)?.state("connection lost", event.cause));
    on("reattached", (event) => this.live(event)?.state("running"));
    on("check-held", (event) => this.live(event)?.check(event.check, "holds"));
    on("check-failed", (event) => this.live(event)?.check(event.check, "FAILED"));
    on("check-unknown", (event) => this.live(event)?.check(event.check, "could not look"));
    this.source.onerror = () => {
      if (this.name === run) this.say(`no news since ${clock(this.heard ?? new Date())}: the gateway does not answer`, true);
    };
    this.source.onopen = () => this.say("");
  }

  // What is shown of a step on a node, in the step's own card.
  live(event) {
    const name = this.steps.get(event.step);
    const card = name && document.getElementById(name);
    if (!card) return null;
    const node = event.turn ? `${event.turn}/${event.node}` : event.node;
    const key = `${name} ${node}`;
    if (!this.lives.has(key)) {
      const live = new Live(node ?? "");
      card.append(live.box);
      this.lives.set(key, live);
    }
    return this.lives.get(key);
  }

  draw(view) {
    if (view.run !== this.name) return;
    const over = view.state === "ended";
    const words = `Run ${view.run}: ${over ? view.status : WORDS[view.state] ?? view.state}, owner ${view.owner}`;
    const parts = view.parts.map((part) => this.part(view, part));
    const head = make("p", { className: "opsc-state", textContent: words });
    head.dataset.state = view.state;
    const table = make("table", {}, make("tbody", {}, ...parts));
    const glass = view.break_glass ? make("p", { className: "opsc-bad", textContent: `BREAK GLASS: ${view.break_glass}` }) : null;
    this.run.replaceChildren(...[head, glass, this.approval(view), table].filter(Boolean), over ? null : this.hand(view));
    this.questions(view.questions);
    if (this.drawn !== view.state) this.doing(() => this.list());
    this.drawn = view.state;
  }

  part(view, part) {
    const state = part.state === "halted" ? `halted: ${part.status}` : part.state === "ended" ? part.status : WORDS[part.state] ?? part.state;
    const wants = part.wants ? ` (${part.wants} requested, not done yet)` : "";
    const seen = part.seen ? `seen ${clock(part.seen)}` : "";
    const step = part.step ? `step ${part.step}` : "";
    const act = (path, body) => () => this.doing(async () => this.draw(await ask(`/v1/runs/${view.run}/${path}`, { nodes: [part.node], ...body })));
    const controls = make("td");
    if (["queued", "waiting"].includes(part.state)) {
      controls.append(button("do not begin", act("stop", { manner: "after-step" })));
    }
    if (["leased", "unseen"].includes(part.state)) {
      controls.append(
        button("stop after this step", act("stop", { manner: "after-step" })),
        button("stop the step now", act("stop", { manner: "step" })));
    }
    if (part.state === "halted") {
      controls.append(
        button("resume", act("resume", {})),
        button("release", act("release", {})));
    }
    const row = make("tr", {}, make("th", { textContent: part.node }), make("td", { textContent: state + wants }),
      make("td", { textContent: [step, seen].filter(Boolean).join(", ") }), controls);
    row.dataset.node = part.node;
    row.dataset.state = part.state;
    if (part.cause) row.append(make("td", { className: "opsc-cause", textContent: part.cause }));
    return row;
  }

  // What a run waits for, what will be done, and the command that approves it: a key that approves
  // is in no browser.
  approval(view) {
    const given = view.approvals ?? [];
    if (!view.wants && !given.length) return null;
    const box = make("div", { className: "opsc-approval" });
    if (view.wants) {
      const { approvals, by } = view.wants;
      box.append(make("p", {}, `Waits for ${approvals} approval${approvals > 1 ? "s" : ""} by ${by || "somebody else who may approve it"}: `,
        make("code", { textContent: `opsbook approve ${view.run}` })));
    }
    for (const one of given) box.append(make("p", { textContent: `${one.node}: approved by ${one.by}, until ${new Date(one.not_after).toLocaleString()}` }));
    const text = make("pre", { tabIndex: 0 });
    const shown = make("details", {}, make("summary", { textContent: "What will be done" }), text);
    shown.open = this.run.querySelector(".opsc-approval details")?.open ?? false;
    const load = () => shown.open && !text.textContent && this.doing(async () => {
      text.textContent = this.exactly ??= written(await ask(`/v1/runs/${encodeURIComponent(view.run)}/plan`));
    });
    shown.addEventListener("toggle", load);
    box.append(shown);
    return box;
  }

  hand(view) {
    const to = make("input", { name: "to", placeholder: "new owner", required: true });
    const note = make("input", { name: "note", placeholder: "note for the new owner" });
    const form = make("form", {}, to, note, make("button", { textContent: "hand over" }));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const body = { to: to.value.trim(), ...(note.value ? { note: note.value } : {}) };
      this.doing(async () => this.draw(await ask(`/v1/runs/${view.run}/hand-over`, body)));
    });
    const details = make("details", {}, make("summary", { textContent: "Hand over" }), form);
    details.open = this.run.querySelector("details")?.open ?? false;
    return details;
  }

  // Each question stands where its step does; one that is not asked any more goes.
  questions(all) {
    const open = new Set();
    for (const question of all) {
      const key = `opsc-${this.name}-${question.node}-${question.epoch}-${question.seq}`;
      open.add(key);
      if (document.getElementById(key)) continue;
      const live = question.step && this.live({ step: question.step, node: question.node });
      (live ? live.box : this.run).append(this.question(question, key));
    }
    for (const shown of document.querySelectorAll(".opsc-question")) {
      if (shown.dataset.run === this.name && !open.has(shown.id)) shown.remove();
    }
  }

  question(question, id) {
    const note = make("input", { placeholder: "note (optional)" });
    note.setAttribute("aria-label", "Note");
    const give = (answer) => this.doing(async () => {
      const { node, epoch, seq } = question;
      const body = { node, epoch, seq, answer, ...(note.value ? { note: note.value } : {}) };
      await ask(`/v1/runs/${this.name}/answers`, body);
      box.remove();
    });
    const choices = question.choices.length ? question.choices : ["yes", "no"];
    const box = make("div", { id, className: "opsc-question" },
      make("p", { textContent: `${question.node} asks: ${question.text}` }),
      question.told ? make("pre", { textContent: question.told }) : null,
      ...choices.map((choice) => button(choice, () => give(choice))), note);
    box.dataset.run = this.name;
    box.setAttribute("role", "group");
    return box;
  }
}

// The documents that are signed, as text.
const written = ({ documents = {}, manner, manners = {} }) => {
  const lines = [];
  for (const [node, document] of Object.entries(documents)) {
    const { machines, arguments: given, plans } = JSON.parse(document);
    lines.push(manners[node] ?? manner);
    for (const [name, way] of Object.entries(machines)) lines.push("", `${name}: ${way}`);
    for (const [name, value] of Object.entries(given)) lines.push(`--set ${name}=${value}`);
    for (const plan of Object.values(plans)) {
      for (const step of plan.steps) {
        lines.push(step.text.trimEnd());
        for (const [name, value] of Object.entries(step.values ?? {})) lines.push(`${name} = ${value}`);
        for (const file of step.files ?? []) lines.push(`file ${file.to} ${file.sha256 ?? ""}`, file.text ?? "");
      }
    }
  }
  return lines.join("\n");
};

class Live {
  constructor(node) {
    this.word = make("strong");
    this.checks = make("ul");
    this.out = make("pre", { tabIndex: 0 });
    this.out.hidden = true;
    const line = make("p", {}, `${node}: `, this.word);
    line.setAttribute("role", "status");
    this.box = make("div", { className: "opsc-live" }, line, this.out, this.checks);
    this.box.dataset.node = node;
  }

  state(word, cause) {
    this.word.textContent = cause ? `${word}: ${cause}` : word;
    this.box.dataset.state = word;
    if (word === "running") this.checks.replaceChildren();
  }

  check(name, word) {
    this.checks.append(make("li", { textContent: `${name} ${word}` }));
  }

  print({ text, stream }) {
    this.out.hidden = false;
    const below = this.out.scrollTop + this.out.clientHeight >= this.out.scrollHeight - 8;
    this.out.append(stream === "err" ? make("span", { className: "opsc-err", textContent: text }) : text);
    this.long = (this.long ?? 0) + text.length;
    while (this.long > SHOWN && this.out.firstChild !== this.out.lastChild) {
      this.long -= this.out.firstChild.textContent.length;
      this.out.firstChild.remove();
    }
    if (below) this.out.scrollTop = this.out.scrollHeight;
  }
}

// At each group of checks, what of it does not hold, and since when.
const drift = async () => {
  const groups = [...document.querySelectorAll(".ops-checks[data-name]")];
  if (!groups.length) return;
  const all = await Promise.all(["failed", "unknown"].map((outcome) => ask(`/v1/checks?outcome=${outcome}`)));
  for (const group of groups) {
    const own = all.flat().filter((check) => check.manual === manual && check.check.startsWith(`${group.dataset.name}::`));
    if (!own.length) continue;
    const lines = own.slice(0, 50).map((check) => make("li", {},
      make("strong", { textContent: `${check.node} ${check.check}: ${check.outcome === "failed" ? "FAILED" : "could not look"}` }),
      ` since ${new Date(check.since).toLocaleString()}, seen ${clock(check.seen)}${check.run_before ? `, after run ${check.run_before}` : ""}`,
      check.evidence ? make("pre", { textContent: check.evidence }) : null));
    group.append(make("section", { className: "opsc opsc-drift" }, make("ul", {}, ...lines)));
  }
};

// A way to the page beside the books.
const way = () => {
  const bar = document.querySelector("#menu-bar .right-buttons, #mdbook-menu-bar .right-buttons");
  bar?.prepend(make("a", { className: "opsc-way", href: "/console/overview", textContent: "what runs where" }));
};

const begin = async () => {
  way();
  await drift().catch(() => {});
  const cards = [...document.querySelectorAll(".ops-procedure[data-name]")];
  if (!cards.length) return;
  const pages = await ask(`/console/pages.json?build=${encodeURIComponent(build)}`).catch(() => ({}));
  await Promise.all(cards.map(async (element) => {
    const id = element.dataset.name;
    try {
      const card = new Card(element, await ask(`/v1/procedures/${encodeURIComponent(id)}?${ofManual}`), pages[id]);
      await card.doing(() => card.list(true));
    } catch (error) {
      element.append(make("p", { className: "opsc opsc-bad", textContent: error.message }));
    }
  }));
};

begin().finally(() => { document.documentElement.dataset.console = "ready"; });
