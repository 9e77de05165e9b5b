// The contents of a large book, by parts: the chapters around the page at hand, those above it,
// and buttons that bring the others.
function opsbookContents(box, html) {
    "use strict";
    const AROUND = 50;
    const MORE = 200;
    const parsed = document.createElement("template");
    parsed.innerHTML = html;
    const address = decodeURI(location.href.split(/[?#]/)[0]);
    const page = address.endsWith("/") ? `${address}index.html` : address;
    const home = new URL(path_to_root || ".", location.href).href;
    const place = decodeURI(page.startsWith(home) ? page.slice(home.length) : "");
    const links = parsed.content.querySelectorAll("a");
    let active = null;
    for (const link of links) {
        if (decodeURI(link.getAttribute("href")) === place) { active = link; break; }
    }
    active = active || links[0];
    const above = new Set();
    for (let part = active; part; part = part.parentElement) above.add(part);

    const prepare = (items) => {
        // What mdBook's script does for the links that it finds.
        for (const item of items) {
            for (const link of item.querySelectorAll ? item.querySelectorAll("a") : []) {
                const to = link.getAttribute("href");
                if (to && !/^(?:[a-z+]+:)?\/\/|^#/.test(to)) link.href = path_to_root + to;
            }
            for (const toggle of item.querySelectorAll ? item.querySelectorAll(".chapter-fold-toggle") : []) {
                toggle.addEventListener("click", () => toggle.parentElement.parentElement.classList.toggle("expanded"));
            }
        }
    };
    const button = (hidden, list, before, late) => {
        const item = document.createElement("li");
        const press = document.createElement("button");
        item.className = "chapter-item ops-more";
        press.type = "button";
        const name = () => { press.textContent = `… ${hidden.length} more`; };
        name();
        press.addEventListener("click", () => {
            const some = before ? hidden.splice(-MORE) : hidden.splice(0, MORE);
            if (late) some.forEach(thin);
            prepare(some);
            if (before) item.after(...some);
            else item.before(...some);
            if (hidden.length) name();
            else item.remove();
        });
        item.append(press);
        if (before) list.prepend(item);
        else list.append(item);
    };
    /** Leaves those items of each list that are near the page at hand. */
    const thin = (part) => {
        if (!part.querySelectorAll) return;
        const lists = [...part.querySelectorAll("ol")];
        if (part.tagName === "OL") lists.unshift(part);
        for (const list of lists) {
            if (!list.isConnected && !part.contains(list)) continue;
            const items = [...list.children];
            const at = items.findIndex((item) => above.has(item));
            // Of a list that the page is not in, nothing is shown at first.
            const around = at < 0 && list.parentElement && list.parentElement.tagName === "LI" ? 0 : AROUND;
            const from = Math.max(0, at - around);
            const to = Math.min(items.length, Math.max(at, 0) + around + (at < 0 ? 0 : 1));
            if (items.length <= 2 * AROUND && around) continue;
            const [first, last] = [items.slice(0, from), items.slice(to)];
            first.concat(last).forEach((item) => item.remove());
            if (first.length) button(first, list, true, true);
            if (last.length) button(last, list, false, true);
        }
    };
    thin(parsed.content);
    box.append(parsed.content);
}

