// The page of a node: its values with where they come from, what may run on it, its checks, its
// last runs, its files as they would be delivered; and what of it another node has otherwise.
// Everything goes in as text, never as HTML.
"use strict";

const opsbookMachines = (() => {
    const single = typeof opsbookSingle !== "undefined";
    const KINDS = ["failed", "unseen", "changed", "passed", "ignored", "never"];
    const WORDS = ["✗ failing", "? could not look", "≠ changed since", "✓ held", "– ignored", "○ never asked"];
    const shards = new Map();
    let procedures = [];
    let groups = [];
    let firsts = [];
    const all = (found, others, starts) => {
        procedures = found;
        groups = others;
        firsts = starts;
    };
    const some = (number, found) => shards.set(number, found);

    const { element, code } = opsbook;
    const load = (file) => opsbook.load(`machines/${file}`);
    // In one file all ids stand on one page.
    const link = (href, text) => element("a", { href: single ? href.replace(/^[^#]*/, "") : href }, code(text));
    const table = (head, rows) => element("div", { class: "ops-wide" }, element("table", {},
        element("thead", {}, element("tr", {}, ...head.map((word) => element("th", {}, word)))),
        element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells.map((cell) => cell instanceof Element && cell.tagName === "TD" ? cell : element("td", {}, cell)))))));
    const section = (title, ...content) => [element("h3", {}, title), ...content];

    /** Everything about a node of this name. */
    const about = async (name) => {
        const node = await opsbook.find(name);
        if (!node || !await load("all.js")) return null;
        const file = firsts.findLastIndex((first) => first <= node.number);
        await load(`${file}.js`);
        const more = (shards.get(file) || [])[node.number - firsts[file]];
        return more ? { ...more, node } : null;
    };

    const shown = (value) => typeof value === "string" ? value : value.secret ? "(a secret)" : "(cannot be used: opsbook lint says why)";
    const may = (node, selector) => selector === null || node.in.includes(selector);

    const valuesOf = ({ values, more }, other) => {
        const theirs = new Map((other ? other.values : []).map((row) => [row[0], shown(row[1])]));
        const rows = (values || []).map(([name, value, origin, overrode]) => {
            const cells = [code(name), code(shown(value)), origin, overrode.join(", ")];
            if (!other) return cells;
            const differs = theirs.get(name) !== shown(value);
            theirs.has(name) ? cells.push(code(theirs.get(name))) : cells.push("–");
            return differs ? cells.map((cell, index) => index ? cell : element("td", {}, cell, element("strong", {}, " ≠"))) : cells;
        });
        const head = ["Name", "Value", "From", "Instead of", ...(other ? [other.node.name] : [])];
        const note = more ? element("p", {}, `${more} more values are used on no page, and are not in the book: `, code("opsbook nodes show")) : "";
        return section("Values", rows.length ? table(head, rows) : element("p", {}, "No page uses its values."), note);
    };

    const runsHere = ({ node }) => {
        const rows = [];
        for (const [id, href, title, selector, roles] of procedures) {
            const parts = roles.filter(([, own]) => may(node, own)).map(([role]) => role);
            if (roles.length ? parts.length : may(node, selector)) rows.push([link(href, id), title, parts.join(", ")]);
        }
        return section("Procedures that may run here", rows.length ? table(["Procedure", "What", "As"], rows) : element("p", {}, "None."));
    };

    const checksOf = ({ node, checks }) => {
        const own = groups.filter(([, , , selector]) => may(node, selector)).map(([id, href, title]) => [link(href, id), title]);
        const parts = section("Checks", own.length ? table(["Group", "What"], own) : element("p", {}, "None."));
        if (checks.length) {
            const rows = [...checks].sort((a, b) => a[1] - b[1]).map(([check, kind, at, why, href]) => [
                href ? link(href, check) : code(check),
                element("td", {}, element("span", { class: `ops-result ops-${KINDS[kind]}` }, element("strong", {}, WORDS[kind]), why ? ` (${why})` : "")),
                at ? at.replace("T", " ").slice(0, 16) + " UTC" : "",
            ]);
            parts.push(table(["Check", "As recorded", "When"], rows));
        }
        return parts;
    };

    const lastRuns = ({ runs }) => runs.length
        ? section("Last runs", table(["Procedure", "How it ended", "When", "By"], runs.map(([id, status, at, who, same]) => [
            code(id), same ? status : `${status}, changed since`, at.replace("T", " ").slice(0, 16) + " UTC", who])))
        : section("Last runs", element("p", {}, "None is recorded here."));

    /** Lines of two texts side by side: those of both, of the first, of the second. */
    const differences = (left, right) => {
        const [a, b] = [left.split("\n"), right.split("\n")];
        if (a.length * b.length > 4e6) return [["- ", "too long to be compared"]];
        const best = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
        for (let i = a.length - 1; i >= 0; i--) {
            for (let j = b.length - 1; j >= 0; j--) {
                best[i][j] = a[i] === b[j] ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
            }
        }
        const lines = [];
        let [i, j] = [0, 0];
        while (i < a.length || j < b.length) {
            if (i < a.length && j < b.length && a[i] === b[j]) { lines.push(["  ", a[i]]); i++; j++; }
            else if (j >= b.length || i < a.length && best[i + 1][j] >= best[i][j + 1]) lines.push(["- ", a[i++]]);
            else lines.push(["+ ", b[j++]]);
        }
        return lines;
    };

    const templatesOf = ({ node, templates }, other) => {
        if (!templates.length) return [];
        const theirs = new Map((other ? other.templates : []).map(([name, text]) => [name, text]));
        return section("Files as they would be delivered", ...templates.map(([name, text, why]) => {
            if (text === null) return element("p", {}, code(name), `: ${why}`);
            const details = element("details", {}, element("summary", {}, code(name)));
            const pre = element("pre", { tabindex: "0" });
            const same = theirs.get(name);
            if (typeof same === "string" && same !== text) {
                details.open = true;
                details.querySelector("summary").append(` ≠ on ${other.node.name}: − is ${node.name}, + is ${other.node.name}`);
                pre.append(code(differences(text, same).map(([sign, line]) => sign + line).join("\n")));
            } else {
                if (other) details.querySelector("summary").append(same === text ? ` is the same on ${other.node.name}` : ` is not for ${other.node.name}`);
                pre.append(code(text));
            }
            details.append(pre);
            return details;
        }));
    };

    let beside = "";
    const draw = async (name) => {
        const place = document.querySelector(".ops-node-page");
        if (!place) return;
        const found = name ? await about(name) : null;
        if (!found) {
            place.replaceChildren();
            place.dataset.node = "";
            return;
        }
        const other = beside && beside !== name ? await about(beside) : null;
        const input = element("input", { type: "search", placeholder: "another node", "aria-label": "Compare with", autocomplete: "off", spellcheck: "false" });
        input.value = beside;
        input.addEventListener("keydown", (event) => event.stopPropagation());
        input.addEventListener("change", () => { beside = input.value.trim(); draw(name); });
        const compare = element("p", { class: "ops-sift" }, element("label", {}, "compare with ", input),
            beside && !other && beside !== name ? `this manual has no node ${beside}` : "");
        const own = found.node.groups.map((group) => [link(`opsbook-groups.html#group-${group}`, `@${group}`), " "]).flat();
        place.replaceChildren(element("h2", { id: "node" }, name), element("p", {}, ...own), compare,
            ...valuesOf(found, other), ...runsHere(found), ...checksOf(found), ...lastRuns(found), ...templatesOf(found, other));
        place.dataset.node = other ? `${name} ${beside}` : name;
    };
    document.addEventListener("opsbook-node", (event) => draw(event.detail));
    if (document.documentElement.dataset.node) draw(document.documentElement.dataset.node);
    return { all, some };
})();
