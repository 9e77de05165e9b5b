// How old a recorded result is, as of now; a page cannot know when it is read. A box on each step, to tick off what was done by hand. It is forgotten with the browser's
// tab. The book says everything without this file.
"use strict";

document.querySelectorAll(".ops-step, .ops-deliver, .ops-manual").forEach((step) => {
    const caption = step.querySelector(".ops-caption");
    const key = `opsbook-done:${location.pathname}#${step.id}`;
    const label = document.createElement("label");
    const box = document.createElement("input");
    label.className = "ops-done";
    box.type = "checkbox";
    label.append(box, " done");
    caption.append(label);
    try {
        box.checked = sessionStorage.getItem(key) === "yes";
        box.addEventListener("change", () => sessionStorage.setItem(key, box.checked ? "yes" : "no"));
    } catch (e) { /* A browser that remembers nothing still shows the box. */ }
});

(() => {
    const limit = Number(document.currentScript.dataset.days) || 30;
    // A page that nobody has changed for longer than the manual allows says so first.
    const review = Number(document.currentScript.dataset.review);
    const changed = document.querySelector(".ops-changed time");
    const days = changed ? Math.floor((Date.now() - Date.parse(changed.dateTime)) / 86400000) : 0;
    if (review && days > review) {
        const banner = document.createElement("p");
        banner.className = "ops-aged";
        banner.setAttribute("role", "note");
        banner.textContent = `Nobody has changed this page for ${days} days. This manual wants each page reviewed within ${review} days: do not rely on it unchecked.`;
        document.querySelector("main").prepend(banner);
    }
    const units = [[86400, "day"], [3600, "hour"], [60, "minute"]];
    const age = (seconds) => {
        // In the largest unit of which there are two.
        const [size, unit] = units.find(([size]) => seconds >= 2 * size) || units[2];
        const count = Math.floor(seconds / size);
        return `${count} ${unit}${count === 1 ? "" : "s"} ago`;
    };
    document.querySelectorAll(".ops-results time, .ops-when time, .ops-about time").forEach((time) => {
        const seconds = Math.max(0, (Date.now() - Date.parse(time.dateTime)) / 1000);
        if (Number.isNaN(seconds)) return;
        const said = document.createElement("strong");
        const old = seconds > limit * 86400;
        said.textContent = ` ${age(seconds)}${old ? `: older than ${limit} days` : ""}`;
        if (old) said.className = "ops-old";
        time.after(said);
    });
})();

// For everybody: what scrolls can be reached by keyboard, the bar is a landmark, and what opens
// the contents is a button.
(() => {
    const reachable = () => document.querySelectorAll("main pre > code, main pre, .table-wrapper, .ops-wide, .ops-formula").forEach((part) => {
        if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
    });
    reachable();
    window.addEventListener("load", reachable);
    window.addEventListener("resize", reachable);
    const bar = document.getElementById("mdbook-menu-bar");
    if (bar) bar.setAttribute("role", "banner");
    // A book without a title has a heading without words.
    const title = document.querySelector("h1.menu-title");
    if (title && !title.textContent.trim()) title.setAttribute("aria-hidden", "true");
    const label = document.getElementById("mdbook-sidebar-toggle");
    const box = document.getElementById("mdbook-sidebar-toggle-anchor");
    if (!label || !box || label.tagName !== "LABEL") return;
    const button = document.createElement("button");
    for (const { name, value } of label.attributes) if (name !== "for") button.setAttribute(name, value);
    button.type = "button";
    button.append(...label.childNodes);
    label.replaceWith(button);
    const tell = () => button.setAttribute("aria-expanded", String(box.checked));
    tell();
    button.addEventListener("click", () => box.click());
    box.addEventListener("change", tell);
})();

// The page of the state: what is shown of its tables.
(() => {
    const top = document.querySelector("main .ops-state");
    if (!top) return;
    const KINDS = [["failed", "failing"], ["unseen", "could not look"], ["changed", "changed since"], ["passed", "held"], ["ignored", "ignored"], ["never", "never asked"]];
    const bar = document.createElement("div");
    bar.className = "ops-sift";
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "What the tables show");
    const boxes = KINDS.map(([kind, words]) => {
        const label = document.createElement("label");
        const box = document.createElement("input");
        box.type = "checkbox";
        box.checked = true;
        box.dataset.kind = kind;
        label.append(box, ` ${words}`);
        bar.append(label);
        return box;
    });
    const words = document.createElement("input");
    words.type = "search";
    words.placeholder = "node or check";
    words.setAttribute("aria-label", "Node or check");
    words.addEventListener("keydown", (event) => event.stopPropagation());
    bar.append(words);
    const sift = () => {
        const wanted = words.value.toLowerCase().trim();
        for (const row of document.querySelectorAll(".ops-sifted tr[class^=ops-is-]")) {
            const box = boxes.find((one) => row.classList.contains(`ops-is-${one.dataset.kind}`));
            row.hidden = Boolean(box && !box.checked) || !row.textContent.toLowerCase().includes(wanted);
        }
    };
    bar.addEventListener("input", sift);
    top.after(bar);
})();
