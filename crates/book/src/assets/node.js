// My node: the values of a chosen node on every page, and blocks copied as they would run there.
// The node stands in the address (`?node=web1`) and is kept from page to page. Data come from
// scripts beside the book, loaded when they are needed: it works from a disk, too. Everything
// that is shown goes in as text, never as HTML. The book says everything without this file but
// the values of a node.
"use strict";

const opsbook = (() => {
    const single = typeof opsbookSingle !== "undefined";
    const home = new URL("..", single ? location.href : document.currentScript.src);
    const KEPT = "opsbook-node";
    /** What is known of the book: blocks by name, nodes, values of nodes by file. */
    const blocks = new Map();
    let names = null;
    let firsts = [];
    const files = new Map();
    const loading = new Map();
    let chosen = null;

    // What the files of data call.
    const page = (found) => {
        for (const [name, block] of Object.entries(found)) blocks.set(name, block);
    };
    const nodes = (all, starts) => {
        names = all;
        firsts = starts;
    };
    const values = (number, found) => files.set(number, found);

    /** A file of the book's own, once. Says whether it is there. */
    const load = (file) => {
        // A book in one file has them all.
        if (single) return Promise.resolve(true);
        if (!loading.has(file)) {
            loading.set(file, new Promise((done) => {
                const script = document.createElement("script");
                script.src = new URL(`opsbook/${file}`, home);
                script.onload = () => done(true);
                script.onerror = () => done(false);
                document.head.append(script);
            }));
        }
        return loading.get(file);
    };

    const element = (tag, attributes, ...content) => {
        const made = document.createElement(tag);
        for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
        made.append(...content);
        return made;
    };
    const code = (text) => element("code", {}, text);

    // ---- Which node ----

    const wanted = () => {
        const asked = new URLSearchParams(location.search).get("node");
        if (asked !== null) return asked;
        try { return localStorage.getItem(KEPT) || ""; } catch (e) { return ""; }
    };

    const keep = (name) => {
        try {
            if (name) localStorage.setItem(KEPT, name);
            else localStorage.removeItem(KEPT);
        } catch (e) { /* The address keeps it as well. */ }
        const address = new URL(location.href);
        if (name) address.searchParams.set("node", name);
        else address.searchParams.delete("node");
        try { history.replaceState(history.state, "", address); } catch (e) { /* As it was. */ }
    };

    /** The node of this name with its values; nothing where there is none. */
    const find = async (name) => {
        if (!name || !await load("nodes/all.js") || !names) return null;
        const number = names.findIndex(([own]) => own === name);
        if (number < 0) return null;
        const file = firsts.findLastIndex((first) => first <= number);
        await load(`nodes/${file}.js`);
        const found = (files.get(file) || [])[number - firsts[file]];
        return found ? { name, number, groups: names[number][1] || [], ...found } : null;
    };

    /** Links of the book lead on with the node. */
    const lead = (event) => {
        const link = event.target.closest && event.target.closest("a[href]");
        if (link) carry(link);
    };
    const carry = (link) => {
        if (single) return;
        const to = new URL(link.href, location.href);
        if (to.protocol !== location.protocol || !to.pathname.endsWith(".html")) return;
        if (!to.href.startsWith(home.href)) return;
        if (to.pathname === location.pathname && to.hash) return;
        // A link that names a node leads to that one.
        if (to.searchParams.has("node") && !link.dataset.carried) return;
        link.dataset.carried = "yes";
        if (chosen) to.searchParams.set("node", chosen.name);
        else to.searchParams.delete("node");
        link.href = to.href;
    };

    // ---- Values ----

    const typed = (of, name) => {
        try { return sessionStorage.getItem(`opsbook-value:${of}:${name}`); } catch (e) { return null; }
    };
    const put = (of, name, value) => {
        const key = `opsbook-value:${of}:${name}`;
        try {
            if (value === "") sessionStorage.removeItem(key);
            else sessionStorage.setItem(key, value);
        } catch (e) { /* It is forgotten with the page. */ }
    };
    const param = (of, name) => {
        const owner = blocks.get(of);
        return owner && owner.params && owner.params.find((own) => own.name === name);
    };
    const fits = (own, value) => {
        if (!own || !own.pattern) return true;
        try { return new RegExp(`^(?:${own.pattern})$`, "u").test(value); } catch (e) { return true; }
    };

    /** A text of the author with what is known put in for `${name}`. */
    const filled = (text, known) => text.replace(/\$\$\{|\$\{([a-z][a-z0-9_]*)\}/g, (all, name) => {
        if (name === undefined) return "${";
        const value = known(name);
        return value === null ? all : value;
    });

    // ---- Roles: the reader says who plays them. Nothing is guessed, least of all by the picker. ----

    const rolesOf = (of) => (blocks.get(of) || {}).roles || [];
    const roleIn = (of, name) => rolesOf(of).find(([role]) => role === name.split("_")[0]);
    /** By procedure and role: `{nodes}`, or `{why}` nobody plays it; `wrong` where what was typed is. */
    const players = new Map();
    const played = (of, role) => players.get(`${of} ${role}`) || { why: `${role} is not bound` };

    const cast = async (of, [role, many, selector, several]) => {
        const said = (typed(of, `role ${role}`) || "").split(/[\s,]+/).filter(Boolean);
        if (!said.length) return { why: `${role} is not bound: ${many} ${selector}` };
        const found = [];
        for (const name of new Set(said)) {
            const node = await find(name);
            if (!node) return { wrong: true, why: `this manual has no node ${name}` };
            if (!node.in.includes(selector)) return { wrong: true, why: `${name} may not play ${role}: that is ${many} ${selector}` };
            found.push(node);
        }
        if (!several && found.length > 1) return { wrong: true, why: `${role} is one node` };
        return { nodes: found };
    };

    /** Reads anew who plays what. */
    const meet = async () => {
        players.clear();
        for (const [of, block] of blocks) {
            const taken = new Map();
            for (const own of block.roles || []) {
                let found = await cast(of, own);
                const twice = (found.nodes || []).find((node) => taken.has(node.name));
                if (twice) found = { wrong: true, why: `${twice.name} already plays ${taken.get(twice.name)}` };
                for (const node of found.nodes || []) taken.set(node.name, own[0]);
                players.set(`${of} ${own[0]}`, found);
            }
        }
    };

    /** The one of several whose part a block is: the only one, or the chosen node where it is among them. */
    const oneOf = (found) => {
        if (found.why) return { node: null, why: found.why };
        const node = found.nodes.length === 1 ? found.nodes[0] : chosen && found.nodes.find((one) => one.name === chosen.name);
        return node ? { node } : { node: null, why: `choose one of ${found.nodes.map((one) => one.name).join(", ")} as my node` };
    };

    /** The machine that a block runs on: my node; in a procedure with roles, who plays its role. */
    const machine = (block) => {
        if (!rolesOf(block.of).length) return { node: chosen, why: "a value of the node: choose one" };
        if (block.local || !block.role) return { node: null, why: "your own machine has no values" };
        return oneOf(played(block.of, block.role));
    };

    /** Whether anything of the values of a block is known. */
    const ready = (block, of = block.of) => {
        const roles = rolesOf(of);
        return roles.length ? roles.some(([role]) => players.has(`${of} ${role}`) && !(played(of, role).why && !played(of, role).wrong)) : Boolean(chosen);
    };

    /** `$old`, or a value of the node that plays it: `$old_address`. Of several, those of all. */
    const ofRole = (block, name) => {
        const [role] = roleIn(block.of, name);
        const found = played(block.of, role);
        const one = block.turn === role ? oneOf(found) : null;
        if (found.why || one && !one.node) return { why: (one || found).why };
        const own = name.slice(role.length + 1);
        const texts = [];
        for (const node of one ? [one.node] : found.nodes) {
            const value = own ? look(block.of, own, { node }) : { value: node.name };
            if (value.value === undefined) return value.secret ? { secret: true, why: `a secret of ${node.name}` } : { why: value.why };
            texts.push(value.value);
        }
        return { value: texts.join(" ") };
    };

    /** Who plays what, as a command says it. */
    const castWords = (of) => rolesOf(of)
        .map(([role, many]) => [role, many, played(of, role).nodes])
        .filter(([, many, nodes]) => nodes || many !== "any number of")
        .map(([role, , nodes]) => `${role}=${nodes ? nodes.map((node) => node.name).join(",") : "NODE"}`);

    /** A parameter or a value of a machine: `{value}`, `{secret}`, or `{why}` there is none. */
    const look = (of, name, at, depth = 0) => {
        const given = typed(of, name);
        const own = param(of, name);
        if (given !== null) {
            return fits(own, given) ? { value: given } : { why: `the input does not match ${own.pattern}` };
        }
        if (own && own.default !== null) return whole(of, own.default, at, depth);
        if (own && own.required) return { why: own.help ? `a parameter: ${own.help}` : "a parameter" };
        const node = at.node;
        if (!node) return { why: at.why };
        if (node.secrets.includes(name)) return { secret: true, why: "a secret" };
        if (follows(of, name, node)) return whole(of, node.derived[name], at, depth);
        if (Object.hasOwn(node.values, name)) return { value: node.values[name] };
        return { none: true, why: `not defined on ${node.name}` };
    };

    /** A value that is made of others: all of it, or what is open in it. */
    const whole = (of, text, at, depth) => {
        if (depth > 16) return { why: "it refers to itself" };
        let open = null;
        const value = filled(text, (inner) => {
            const found = look(of, inner, at, depth + 1);
            if (found.value === undefined) open = `it uses ${inner}, ${found.why}`;
            return found.value === undefined ? null : found.value;
        });
        return open ? { why: open } : { value };
    };

    /** Whether a value of the node is made of a parameter of this procedure. */
    const follows = (of, name, node, depth = 0) => {
        const written = (node.derived || {})[name];
        if (written === undefined || depth > 16) return false;
        let found = false;
        filled(written, (inner) => {
            found = found || Boolean(param(of, inner)) || follows(of, inner, node, depth + 1);
            return null;
        });
        return found;
    };

    /** What one name of a block is: `{value}` or `{why}`; nothing where it may be absent. */
    const bound = (block, [name, from, step]) => {
        if (from === "captured" || from === "run") {
            const given = typed(block.of, name);
            if (given !== null) return { value: given };
            if (name === "procedure") return { value: block.of };
            if (from === "captured") return { why: `step ${step} prints it` };
            return { why: name === "bundle" ? "the folder with the files that opsbook delivers" : "known only in a run" };
        }
        if (from === "role" && !param(block.of, name)) return ofRole(block, name);
        const at = machine(block);
        const found = look(block.of, name, at);
        if (found.value !== undefined || found.secret) return found;
        if (!found.none && at.node) return found;
        if (from === "optional") return null;
        if (from === "earlier") return { why: `step ${step} sets it` };
        return found;
    };

    /** The names of a block with what they are. */
    const bindings = (block) => (block.uses || [])
        .map((use) => ({ name: use[0], from: use[1], ...bound(block, use) }))
        .filter((found) => found.value !== undefined || found.why !== undefined);

    /** A text that people read, as far as it is known. */
    const shown = (block) => (name) => {
        const of = block.of;
        if (name === "procedure" && of) return of;
        const found = roleIn(of, name) && !param(of, name) ? ofRole(block, name) : look(of, name, machine(block));
        return found.value === undefined ? null : found.value;
    };

    /** Why a block may not be run on the chosen node, or by those who were named. */
    const barred = (block) => {
        const wrong = rolesOf(block.of).map(([role]) => played(block.of, role)).find((found) => found.wrong);
        if (wrong) return wrong.why;
        if (!chosen || rolesOf(block.of).length) return null;
        const owner = blocks.get(block.of);
        const selectors = [owner && owner.nodes, block.nodes];
        const selector = selectors.find((one) => one && !chosen.in.includes(one));
        return selector ? `${block.of} may not be run on ${chosen.name}: it is for ${selector}` : null;
    };

    // ---- Shell text ----

    /** One word. What a terminal or a reader would take for something else is written as digits. */
    const quoted = (text) => {
        const plain = `'${text.replace(/'/g, "'\\''")}'`;
        return plain.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+/gu, (odd) => {
            const bytes = Array.from(new TextEncoder().encode(odd));
            const digits = bytes.map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
            return `'"$(printf '${digits}')"'`;
        });
    };

    /** A here-document as one word of a command. */
    const documented = (text, name) => {
        let end = `END ${name}`;
        while (text.split("\n").includes(end)) end += ".";
        const body = text.endsWith("\n") ? text : `${text}\n`;
        return `"$(cat <<'${end}'\n${body}${end}\n)"`;
    };

    const isShell = (program) => ["sh", "bash", "dash", "ash", "ksh", "zsh"].includes(program);
    const strict = (program) => program === "bash" ? "set -euo pipefail" : "set -eu";

    /** The command that runs a script as a step or a check would: its values first. */
    const unit = (name, block, text) => {
        const found = bindings(block);
        const known = found.filter((one) => one.value !== undefined);
        const secrets = found.filter((one) => one.secret);
        const open = found.filter((one) => one.value === undefined && !one.secret);
        const lines = known.map((one) => `${one.name}=${quoted(one.value)}`);
        const more = open.map((one) => ` "\${${one.name}:?${why(one)}}"`).join("");
        const user = block.sudo === undefined ? "" : block.sudo === "root" ? "sudo " : `sudo -u ${quoted(block.sudo)} `;
        let before = "";
        if (secrets.length) {
            const words = secrets.map((one) => `"\${${one.name}:?a secret}"`).join(" ");
            before = `printf '%s\\n' ${words} | `;
        }
        if (!isShell(block.with)) return before + other(name, block, text, { user, known, open });
        const reads = secrets.map((one) => `IFS= read -r ${one.name}`);
        if (secrets.length) reads.push("exec < /dev/null");
        const takes = open.map((one, index) => `${one.name}=\${${index + 1}}`);
        const script = [strict(block.with), ...reads, ...takes, ...lines, text].join("\n");
        const input = secrets.length ? "" : " < /dev/null";
        const named = more ? ` ${block.with}${more}` : "";
        return `${before}${user}${block.with} -c ${documented(script, name)}${named}${input}`;
    };

    /** Another language finds its values in the environment, and its script in a file. */
    const other = (name, block, text, { user, known, open }) => {
        const pairs = known.map((one) => `${one.name}=${quoted(one.value)}`);
        pairs.push(...open.map((one) => `${one.name}="\${${one.name}:?${why(one)}}"`));
        const given = pairs.length ? `env ${pairs.join(" ")} ` : "";
        const run = `f=$(mktemp) && trap 'rm -f "$f"' EXIT && printf '%s\\n' "$1" > "$f" && ${block.with} "$f" < /dev/null`;
        return `${user}${given}sh -c ${quoted(run)} sh ${documented(text, name)}`;
    };

    const why = (one) => one.why.replace(/[^A-Za-z0-9 .,:;_-]/g, " ").replace(/\s+/g, " ").trim();

    /** Around a unit: what it may exit with, what it must print, how often it is asked. */
    const judged = (name, block, run) => {
        let text = run;
        if (block.capture) {
            text = `${block.capture}=$(${text}) && export ${block.capture} && printf '%s\\n' "$${block.capture}"`;
        }
        const expect = block.expect;
        const must = expect && filled(expect.text, shown(block));
        const exact = expect && expect.kind === "exact" && !/\$\{[a-z][a-z0-9_]*\}/.test(must);
        if (exact) {
            const wanted = must.split("\n").map((line) => line.trimEnd()).join("\n").trimEnd();
            const variable = block.capture || "printed";
            if (!block.capture) text = `printed=$(${text}) && printf '%s\\n' "$printed"`;
            text = `${text} &&\n  test "$${variable}" = ${quoted(wanted)}`;
        }
        if (block.exit) {
            const good = block.exit.map((status) => `test "$status" = ${status}`).join(" || ");
            text = `{ ${text}\n  status=$?; ${good}; }`;
        }
        if (block.again) {
            const [tries, every] = block.again;
            text = `n=0; until {\n${text}; }\ndo n=$((n + 1)); test "$n" -lt ${tries} || break; sleep ${every}; done; test "$n" -lt ${tries}`;
        }
        if (exact || !expect) return text;
        const how = { text: "must print", exact: "must print", regex: "must print (a regular expression a line)", json: "must print (at least this JSON)" }[expect.kind];
        return `${comment(`${name} ${how}:\n${must.trimEnd()}`)}\n${text}`;
    };

    const comment = (text) => text.split(/[\n\r\u0085\u2028\u2029]/)
        .map((line) => `# ${line.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/g, " ")}`.trimEnd()).join("\n");

    /** The commands of a transcript, each with the status that the page shows. */
    const script = (block) => {
        if (!block.commands) return block.text.replace(/\n$/, "");
        const commands = block.commands.map((command) =>
            `${command.text.replace(/\n$/, "")}\n[ $? = ${command.exit} ] || exit 1`);
        return `set +e\n${commands.join("\n")}`;
    };

    /** A block and the checks after it, to paste into a POSIX shell. */
    const copied = (name) => {
        const block = blocks.get(name);
        if (!block) return null;
        const bar = barred(block);
        if (bar) return { text: `${comment(bar)}\nfalse\n`, open: [], bar };
        const head = [`${name}${where(block)}${block.step ? `, step ${block.step}` : ""}`];
        const known = [name, ...(block.checks || [])].map((own) => [own, blocks.get(own)]).filter(([, found]) => found);
        // What is asked elsewhere is not pasted here.
        const parts = known.filter(([, found]) => spot(found) === spot(block));
        const open = new Map();
        for (const [own, found] of parts) {
            for (const one of bindings(found)) {
                if (one.value === undefined && !open.has(one.name)) open.set(one.name, `${one.name} (${one.why})`);
            }
            if (found.local) head.push(`${own}: on your own machine, in the folder of the manual`);
        }
        if (open.size) head.push(`still open: ${[...open.values()].join("; ")}`);
        for (const [own, found] of known) {
            if (spot(found) !== spot(block)) head.push(`not included: ${own} is evaluated${where(found) || " on the node"}`);
        }
        let texts = [];
        for (const [own, found] of parts) {
            if (found.kind === "script") texts.push(judged(own, found, unit(own, found, script(found))));
            else texts.push(comment(inWords(found)));
        }
        const units = texts.filter((text) => text.split("\n").some((line) => !line.startsWith("#")));
        const words = texts.filter((text) => !units.includes(text));
        let text = [comment(head.join("\n")), ...words, units.join(" &&\n")].filter((part) => part).join("\n");
        if (text.includes("!")) text = `if [ "\${BASH_VERSION-}" ]; then set +H; fi\n${text}`;
        return { text: `${text}\n`, open: [...open.keys()] };
    };

    /** Where a block runs, to compare: a side of the session, or a role. */
    const spot = (block) => block.local ? "local" : block.role ? block.place : "node";

    /** The same in words. */
    const where = (block) => {
        if (block.local) return " on your own machine";
        const { node } = machine(block);
        if (!block.role) return node ? ` on ${node.name}` : "";
        if (node) return ` on ${node.name} (${block.role})`;
        return block.all ? ` on each node that plays ${block.role}` : ` on the node that plays ${block.role}`;
    };

    /** What a person or opsbook does. */
    const inWords = (block) => {
        if (block.kind === "manual") return filled(block.text, shown(block));
        const files = block.files.map(([what, from, to]) => {
            const fill = (text) => filled(text, shown(block));
            return `${what} ${fill(from)} as $bundle/${fill(to)}`.replace("  ", " ");
        });
        const node = rolesOf(block.of).length ? castWords(block.of).join(" ") : chosen ? chosen.name : "NODE";
        return `opsbook delivers it:\n${files.join("\n")}\nopsbook run ${block.of} ${node} --stop-after ${block.label}`;
    };

    const clipboard = async (text) => {
        try {
            await navigator.clipboard.writeText(text);
            return true;
        } catch (e) { /* An older way follows. */ }
        const area = element("textarea", { "aria-hidden": "true", class: "ops-away" });
        area.value = text;
        (document.querySelector("dialog[open]") || document.body).append(area);
        area.select();
        const done = document.execCommand("copy");
        area.remove();
        return done;
    };

    // ---- On the page ----

    const cards = () => [...document.querySelectorAll("main .ops[data-name]")];
    let live = null;
    const say = (text) => {
        if (!live) {
            live = element("p", { class: "ops-said", role: "status" });
            document.body.append(live);
        }
        live.textContent = text;
        live.classList.add("ops-now");
        clearTimeout(say.end);
        say.end = setTimeout(() => live.classList.remove("ops-now"), 6000);
    };

    const copy = async (name) => {
        const made = copied(name);
        if (!made) return say(`there is no data for ${name}`);
        const done = await clipboard(made.text);
        if (!done) return say("this browser does not allow pages to copy");
        if (made.bar) return say(made.bar);
        const { node } = machine(blocks.get(name));
        const roles = rolesOf(blocks.get(name).of).length;
        const whose = node ? `with the values of ${node.name}` : roles ? "not all roles are bound" : "no node is chosen";
        say(`copied ${name}, ${whose}${made.open.length ? `; still open: ${made.open.join(", ")}` : ""}`);
    };

    /** A button on each block that can be copied; mdBook's would copy without values. */
    const buttons = () => {
        for (const card of cards()) {
            const block = blocks.get(card.dataset.name);
            if (!block || !["script", "manual", "deliver"].includes(block.kind)) continue;
            // Of a file its text alone can be copied, too: for an editor.
            if (!block.place) card.querySelectorAll(":scope > pre .clip-button").forEach((button) => button.remove());
            const button = element("button", { type: "button", class: "ops-copy" }, "copy");
            button.addEventListener("click", () => copy(card.dataset.name));
            card.querySelector(".ops-caption").append(button);
        }
    };

    /** The command of a procedure with its node, or with those that were named. */
    const addressed = (of, text) => rolesOf(of).length
        ? text.replace(/(?: [a-z][a-z0-9]*=NODE)+/, ` ${castWords(of).join(" ")}`)
        : text.replace(/\bNODE\b/, chosen.name);

    const originals = new Map();
    const textsOf = (part) => {
        const found = [];
        const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) found.push(walker.currentNode);
        return found;
    };
    /** Puts values into what people read: expectations, person's steps, paths of deliveries. */
    const fill = () => {
        for (const [text, before] of originals) text.nodeValue = before;
        originals.clear();
        let last = { of: null };
        for (const part of document.querySelectorAll("main .ops")) {
            const name = part.dataset.name;
            const block = name && blocks.get(name);
            if (block) last = block.of ? block : { of: name };
            if (!ready(last)) continue;
            const kind = block ? block.kind : part.classList.contains("ops-expect") ? "expect" : "";
            const places = {
                expect: ":scope > pre", manual: ":scope > pre", deliver: ".ops-wide", group: ".ops-wide", procedure: ".ops-command",
            }[kind];
            if (!places) continue;
            for (const place of part.querySelectorAll(places)) {
                for (const text of textsOf(place)) {
                    let now = filled(text.nodeValue, shown(last));
                    if (kind === "procedure") now = addressed(last.of, now);
                    if (now === text.nodeValue) continue;
                    originals.set(text, text.nodeValue);
                    text.nodeValue = now;
                }
            }
        }
    };

    /** Under a caption: the values of this block, and what is open. */
    const needs = () => {
        for (const card of cards()) {
            const block = blocks.get(card.dataset.name);
            if (!block || !block.of) continue;
            const old = card.querySelector(":scope > .ops-here");
            if (old) old.remove();
            const written = card.querySelector(":scope > .ops-needs");
            if (written) written.hidden = ready(block);
            if (!ready(block)) continue;
            const bar = barred(block);
            const found = bindings(block);
            if (!bar && !found.length) continue;
            const line = element("p", { class: bar ? "ops-here ops-barred" : "ops-here" });
            if (bar) line.append(bar);
            else {
                for (const one of found) {
                    line.append(one.value === undefined
                        ? element("span", { class: "ops-open" }, code(one.name), ` open: ${one.why}`)
                        : element("span", {}, code(`${one.name}=${quoted(one.value)}`)), " ");
                }
            }
            card.querySelector(".ops-caption").after(line);
        }
    };

    /** The names that the blocks of this page use, by procedure; those of nodes first. */
    const used = () => {
        const all = new Map([["", new Map()]]);
        for (const card of cards()) {
            const block = blocks.get(card.dataset.name);
            if (!block || barred(block)) continue;
            for (const use of block.uses || []) {
                const [name, from] = use;
                if (name === "procedure") continue;
                const roles = rolesOf(block.of).length > 0;
                const own = param(block.of, name) || from === "captured" || from === "run";
                const found = bound(block, use);
                if (!found || from === "earlier" && found.value === undefined) continue;
                // Each of its machines has values of its own: they stand at the blocks.
                if (roles && !own) continue;
                const of = own || found.value === undefined && !found.secret ? block.of : "";
                if (!all.has(of)) all.set(of, new Map());
                if (!all.get(of).has(name)) all.get(of).set(name, { block, use });
            }
        }
        return all;
    };

    /** The name of a node, which leads to its page. */
    const own = (name) => {
        const strong = element("strong", {}, name);
        if (!document.querySelector("script[data-machines]")) return strong;
        const page = single ? new URL(location.href) : new URL("opsbook-nodes.html", home);
        page.searchParams.set("node", name);
        if (single) page.hash = "nodes";
        return element("a", { href: page.href }, strong);
    };

    let panel = null;
    /** At the top of a page: its values as ready lines, and a place for those that are open. */
    const valuesHere = () => {
        const all = used();
        const any = [...all.values()].some((names) => names.size);
        const before = panel;
        panel = null;
        if (cards().some((card) => blocks.has(card.dataset.name))) {
            panel = element("section", { class: chosen ? "ops-values" : "ops-values ops-nobody", "aria-label": "Values of my node" });
            const button = element("button", { type: "button", class: "ops-choose" }, chosen ? "another node" : "choose a node");
            button.addEventListener("click", choose);
            const head = element("p", { class: "ops-values-head" });
            if (chosen) head.append("Values on ", own(chosen.name), " ", button);
            else head.append("No node is chosen: each block shows what it needs. ", button);
            panel.append(head);
            const troupe = [...new Set(cards().map((card) => (blocks.get(card.dataset.name) || {}).of))].filter((of) => rolesOf(of).length);
            for (const of of troupe) bill(of);
            if ((chosen || troupe.length) && any) lines(all);
            if (before) before.replaceWith(panel);
            else {
                const title = document.querySelector("main > h1:first-child");
                if (title) title.after(panel);
                else document.querySelector("main").prepend(panel);
            }
        } else if (before) before.remove();
    };

    /** Who plays the roles of a procedure: the reader says it, as the command would. */
    const bill = (of) => {
        const fields = element("div", { class: "ops-fields" }, element("p", {}, "Who plays the roles of ", element("strong", {}, of), " is never guessed:"));
        for (const [role, many, selector] of rolesOf(of)) {
            const found = played(of, role);
            const input = element("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: `${many} ${selector}` });
            input.value = typed(of, `role ${role}`) || "";
            const label = element("label", {}, code(role), " ", input);
            if (found.wrong) {
                input.setAttribute("aria-invalid", "true");
                label.append(" ", element("span", { class: "ops-open" }, found.why));
            }
            input.addEventListener("change", async () => {
                put(of, `role ${role}`, input.value.trim());
                await meet();
                draw();
            });
            fields.append(label);
        }
        panel.append(fields);
        panel.addEventListener("keydown", (event) => event.stopPropagation());
    };

    const lines = (all) => {
        const details = element("details", {}, element("summary", {}, "as lines for a shell, with the open values"));
        details.open = true;
        const text = [];
        const fields = element("div", { class: "ops-fields" });
        for (const [of, names] of all) {
            if (!chosen && !rolesOf(of).length) continue;
            if (of && names.size) text.push(`# ${of}`);
            for (const [name, { block, use }] of names) {
                const found = bound(block, use);
                if (found.value !== undefined) text.push(`export ${name}=${quoted(found.value)}`);
                else text.push(`# ${name}: ${why(found)}`);
                if (of && !found.secret) fields.append(field(of, name, found));
            }
        }
        const all_lines = `${text.join("\n")}\n`;
        const button = element("button", { type: "button", class: "ops-copy" }, "copy lines");
        button.addEventListener("click", async () => {
            say(await clipboard(all_lines) ? `copied the values${chosen ? ` of ${chosen.name}` : ""}` : "this browser does not allow pages to copy");
        });
        details.append(element("pre", { tabindex: "0" }, code(all_lines)), button, fields);
        panel.append(details);
        panel.addEventListener("keydown", (event) => event.stopPropagation());
    };

    /** A parameter, or what an earlier step prints: the reader may say it. */
    const field = (of, name, found) => {
        const own = param(of, name);
        const input = element("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: found.why || "" });
        const given = typed(of, name);
        input.value = given !== null ? given : own && found.value !== undefined ? found.value : "";
        if (given !== null && !fits(own, given)) input.setAttribute("aria-invalid", "true");
        input.addEventListener("change", () => {
            put(of, name, input.value === (own && own.default) ? "" : input.value);
            draw();
        });
        return element("label", {}, `${of} `, code(name), " ", input);
    };

    const draw = () => {
        fill();
        needs();
        valuesHere();
        const label = chosen ? chosen.name : "node";
        if (opener) {
            opener.textContent = label;
            opener.title = chosen ? `My node is ${label}: choose another` : "Choose my node";
        }
        document.querySelectorAll("a[rel~=next], a[rel~=prev]").forEach(carry);
        const name = chosen ? chosen.name : "";
        document.documentElement.dataset.node = name;
        document.dispatchEvent(new CustomEvent("opsbook-node", { detail: name }));
    };

    // ---- The picker ----

    let opener = null;
    let dialog = null;
    const SHOWN = 200;
    const choose = async () => {
        await load("nodes/all.js");
        if (!names) return say("the manual of this book has no nodes");
        if (!dialog) make();
        dialog.querySelector("input").value = "";
        list("");
        dialog.showModal();
        dialog.querySelector("input").focus();
    };

    const make = () => {
        const input = element("input", { type: "search", "aria-label": "Name or group of a node", placeholder: "name or @group", autocomplete: "off", spellcheck: "false" });
        const found = element("ul", { class: "ops-nodes" });
        const none = element("button", { type: "button" }, "no node");
        const close = element("button", { type: "button" }, "close");
        dialog = element("dialog", { class: "ops-picker", "aria-label": "My node" },
            element("p", {}, element("strong", {}, "My node")), input, found, element("p", {}, none, " ", close));
        input.addEventListener("input", () => list(input.value));
        input.addEventListener("keydown", (event) => {
            const first = found.querySelector("button");
            if (event.key === "Enter" && first) {
                // The key itself would press what gets the focus back.
                event.preventDefault();
                first.click();
            }
            if (event.key === "ArrowDown" && first) first.focus();
        });
        none.addEventListener("click", () => use(""));
        close.addEventListener("click", () => dialog.close());
        found.addEventListener("keydown", (event) => {
            const buttons = [...found.querySelectorAll("button")];
            const at = buttons.indexOf(document.activeElement);
            const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
            if (to === undefined) return;
            event.preventDefault();
            (buttons[to] || (to < 0 ? input : buttons[at])).focus();
        });
        // mdBook turns pages on arrow keys.
        dialog.addEventListener("keydown", (event) => event.stopPropagation());
        document.body.append(dialog);
    };

    const list = (typed_text) => {
        const words = typed_text.toLowerCase().split(/\s+/).filter(Boolean);
        const fits_all = ([name, groups]) => words.every((word) => name.toLowerCase().includes(word)
            || (groups || []).some((group) => `@${group}`.toLowerCase().startsWith(word)));
        const found = names.filter(fits_all);
        const items = found.slice(0, SHOWN).map(([name, groups]) => {
            const button = element("button", { type: "button" }, name, " ",
                element("small", {}, (groups || []).map((group) => `@${group}`).join(" ")));
            if (groups === null) button.append(element("small", {}, " cannot be used: opsbook lint says why"));
            button.addEventListener("click", () => use(name));
            return element("li", {}, button);
        });
        if (found.length > SHOWN) items.push(element("li", {}, `and ${found.length - SHOWN} more: type part of the name`));
        if (!found.length) items.push(element("li", {}, "no node has this name or group"));
        dialog.querySelector("ul").replaceChildren(...items);
    };

    const use = async (name) => {
        const found = await find(name);
        if (name && !found) return say(`${name} cannot be used: opsbook lint says why`);
        chosen = found;
        keep(name);
        if (dialog) dialog.close();
        draw();
        say(name ? `my node is ${name}` : "no node is chosen");
        return undefined;
    };

    const start = async () => {
        const keys = new Set(cards().map((card) => card.dataset.page).filter((key) => /^[0-9]{1,9}$/.test(key || "")));
        await Promise.all([...keys].map((key) => load(`blocks/${key}.js`)));
        const bar = document.querySelector("#mdbook-menu-bar .right-buttons");
        if (bar && document.querySelector("script[data-nodes]")) {
            opener = element("button", { type: "button", class: "ops-opener", "aria-haspopup": "dialog" }, "node");
            opener.addEventListener("click", choose);
            bar.prepend(opener);
        }
        const name = wanted();
        chosen = await find(name);
        await meet();
        if (name && !chosen) say(`this manual has no node ${name}`);
        if (chosen) keep(name);
        buttons();
        draw();
        window.addEventListener("beforeprint", () => document.querySelectorAll(".ops-values details").forEach((part) => { part.open = true; }));
        for (const kind of ["click", "auxclick", "contextmenu"]) document.addEventListener(kind, lead, true);
        document.documentElement.dataset.opsbook = "ready";
    };
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
    else start();

    return { page, nodes, values, copied, find, load, element, code };
})();
