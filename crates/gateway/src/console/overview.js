// What runs where, and the latest runs, as tables. All text is set as text.

const make = (tag, words = {}, ...inside) => {
  const node = Object.assign(document.createElement(tag), words);
  node.append(...inside.filter((part) => part !== null && part !== undefined));
  return node;
};
const ask = async (path) => {
  const answer = await fetch(path, { headers: { "opsbook-api": "1" } });
  const read = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(read.detail || read.title || "the gateway refused it");
  return read;
};
const time = (at) => at ? new Date(at).toLocaleString() : "";

const table = (heading, rows) => make("table", {},
  make("thead", {}, make("tr", {}, ...heading.map((textContent) => make("th", { scope: "col", textContent })))),
  make("tbody", {}, ...rows));
const row = (cells, bad = false) => {
  const made = make("tr", {}, ...cells.map((textContent) => make("td", { textContent: textContent ?? "" })));
  made.classList.toggle("opsc-bad", bad);
  return made;
};

// Fills a section, or says why there is nothing in it.
const fill = async (id, empty, load) => {
  const section = document.getElementById(id);
  try {
    section.append(await load() ?? make("p", { textContent: empty }));
  } catch (error) {
    section.append(make("p", { className: "opsc-bad", textContent: error.message }));
  }
};

const applications = async () => {
  const all = await ask("/v1/applications");
  const rows = all.flatMap((one) => one.hosts.map((host) => row([
    one.manual, one.id, host.id, host.version ?? "unknown", time(host.seen), host.run,
    host.since ? `run ${host.since} has not ended OK since` : ""], Boolean(host.since))));
  return rows.length ? table(["Manual", "Application", "Host", "Version", "Seen", "By run", "Since then"], rows) : null;
};

const findings = async () => {
  const all = await ask("/v1/findings");
  const rows = all.map((found) => row([
    found.node, found.run, found.how === "holds" ? "holds the node" : "was here", time(found.since), time(found.seen), found.manual], true));
  return rows.length ? table(["Host", "Run", "Trace", "Found", "Seen", "Manual"], rows) : null;
};

const runs = async () => {
  const page = await ask("/v1/runs");
  const rows = page.runs.slice(0, 30).map((run) => row([
    run.run, run.manual, run.procedure, run.nodes.join(" "), run.status ?? run.state, run.asked_by,
    run.break_glass ? `BREAK GLASS: ${run.break_glass}` : run.reason], Boolean(run.break_glass)));
  return rows.length ? table(["Run", "Manual", "Procedure", "Hosts", "State", "Asked by", "Why"], rows) : null;
};

Promise.all([
  fill("applications", "There are no applications.", applications),
  fill("findings", "The gateway knows all runs found on the hosts.", findings),
  fill("runs", "There are no runs.", runs),
]).finally(() => { document.documentElement.dataset.console = "ready"; });
