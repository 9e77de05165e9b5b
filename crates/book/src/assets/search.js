// The search of the book. The index lies in scripts beside it, of which a search loads the few
// that it needs, so that it works from a disk and for large books. Words are taken apart as
// `index.rs` does. Blocks come before prose, and a hit leads to the block.
"use strict";

const opsbookSearch = (() => {
    // A name of a file may hold what means something in an address; the page of a node has a query.
    const addressOf = (place) => {
        if (place.startsWith("opsbook-nodes.html?")) return place;
        const [page, ...anchor] = place.split("#");
        return [page.split("/").map(encodeURIComponent).join("/"), ...anchor.map(encodeURI)].join("#");
    };
    const home = new URL(path_to_root || ".", location.href);
    const JOINERS = /^[._\-/:@=+%~\\#]{1,2}$/;
    const DENSE = /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\u{20000}-\u{2ffff}]/u;
    const WEIGHT = [1, 1.7, 3, 6];
    const PREFIXES = 64;
    const RANKED = 30;
    const book = { count: 0, firsts: [], starts: [], terms: new Map(), texts: new Map(), words: null };

    // What the files of the index call.
    const root = (count, firsts, starts) => Object.assign(book, { count, firsts, starts });
    const terms = (number, lines) => book.terms.set(number, lines.split("\n").filter(Boolean).map((line) => line.split(" ")));
    const texts = (number, found) => book.texts.set(number, found);
    const words = (lines) => { book.words = lines.split("\n").filter(Boolean); };

    const loading = new Map();
    const load = (file) => {
        if (!loading.has(file)) {
            loading.set(file, new Promise((done) => {
                const script = document.createElement("script");
                script.src = new URL(`opsbook/search/${file}.js`, home);
                script.onload = () => done(true);
                script.onerror = () => done(false);
                document.head.append(script);
            }));
        }
        return loading.get(file);
    };

    // ---- Words ----

    const folded = (text) => text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").normalize("NFC")
        .toLowerCase().replace(/ß/g, "ss").replace(/æ/g, "ae").replace(/ø/g, "o");
    const plain = (word) => word.replace(/ae/g, "a").replace(/oe/g, "o").replace(/ue/g, "u");

    /** A typed word: its runs, the terms that must all stand together, and its beginning dash. */
    const parsed = (text) => {
        const runs = [...text.matchAll(/[\p{Alphabetic}\p{N}]+/gu)];
        const list = runs.map((run) => folded(run[0]));
        const joined = [];
        if (runs.length && /(^|[^\p{Alphabetic}\p{N}])-+$/u.test(text.slice(0, runs[0].index))) joined.push(`-·${list[0]}`);
        for (let at = 1; at < runs.length; at += 1) {
            const from = runs[at - 1].index + runs[at - 1][0].length;
            if (JOINERS.test(text.slice(from, runs[at].index))) joined.push(`${list[at - 1]}·${list[at]}`);
        }
        return { runs: list, joined };
    };

    /** The terms of one run: pairs of characters where words have no spaces. */
    const pieces = (word) => {
        if (!DENSE.test(word)) return [word];
        const found = [];
        for (const part of word.match(new RegExp(`${DENSE.source}+|[^${DENSE.source.slice(1)}+`, "gu")) || []) {
            const letters = [...part];
            if (!DENSE.test(part) || letters.length === 1) found.push(part);
            else for (let at = 1; at < letters.length; at += 1) found.push(letters[at - 1] + letters[at]);
        }
        return found;
    };

    // ---- Looking up ----

    const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
    const VALUE = new Uint8Array(128);
    for (let at = 0; at < 64; at += 1) VALUE[DIGITS.charCodeAt(at)] = at;
    const decoded = (text) => {
        const places = [];
        let number = 0;
        let value = 0;
        let shift = 0;
        for (let at = 0; at < text.length; at += 1) {
            const digit = VALUE[text.charCodeAt(at)];
            value += (digit & 31) * 2 ** shift;
            shift += 5;
            if (digit < 32) {
                number += Math.floor(value / 4);
                places.push([number, value % 4]);
                value = 0;
                shift = 0;
            }
        }
        return places;
    };
    const before = (a, b) => a < b;
    const shardOf = (term) => {
        let [low, high] = [0, book.firsts.length];
        while (low < high) {
            const middle = (low + high) >> 1;
            if (before(term, book.firsts[middle])) high = middle;
            else low = middle + 1;
        }
        return low - 1;
    };

    /** The places of a term and of what begins with it: number to score. */
    const exact = async (term, prefix) => {
        const found = [];
        let shard = Math.max(0, shardOf(term));
        for (; shard < book.firsts.length; shard += 1) {
            await load(`t${shard}`);
            const lines = book.terms.get(shard) || [];
            let past = false;
            for (const [own, places] of lines) {
                if (own === term) found.unshift([places, 1]);
                else if (prefix && own.startsWith(term)) found.push([places, 0.35]);
                else if (before(term, own)) { past = true; break; }
            }
            if (past || found.length > PREFIXES) break;
        }
        return scored(found.slice(0, PREFIXES));
    };
    const scored = (lists) => {
        const scores = new Map();
        const all = lists.map(([places, quality]) => [decoded(places), quality]);
        const total = all.reduce((sum, [places]) => sum + places.length, 0);
        const rare = Math.log(1 + book.count / (1 + total));
        for (const [places, quality] of all) {
            for (const [place, kind] of places) {
                const score = WEIGHT[kind] * rare * quality;
                if (score > (scores.get(place) || 0)) scores.set(place, score);
            }
        }
        return scores;
    };

    const both = (one, other) => {
        if (!one) return other;
        const scores = new Map();
        for (const [place, score] of one) {
            if (other.has(place)) scores.set(place, score + other.get(place));
        }
        return scores;
    };
    const either = (one, other) => {
        const scores = new Map(one);
        for (const [place, score] of other) scores.set(place, Math.max(score, scores.get(place) || 0));
        return scores;
    };
    const allOf = async (list, prefix) => {
        let scores = null;
        for (const [at, term] of list.entries()) scores = both(scores, await exact(term, prefix && at === list.length - 1));
        return scores || new Map();
    };

    /** At most one letter is wrong, missing, too many, or changed places with its neighbour. */
    const near = (a, b) => {
        if (Math.abs(a.length - b.length) > 1) return false;
        let at = 0;
        while (at < a.length && a[at] === b[at]) at += 1;
        const [x, y] = [a.slice(at), b.slice(at)];
        return x.slice(1) === y.slice(1) || x.slice(1) === y || x === y.slice(1)
            || x[0] === y[1] && x[1] === y[0] && x.slice(2) === y.slice(2);
    };

    /** What holds the word, or is it but for one letter. */
    const inexact = async (word) => {
        if (word.length < 4 || DENSE.test(word)) return new Map();
        await load("words");
        const like = [];
        for (const known of book.words || []) {
            if (known !== word && known.includes(word)) like.push([known, 0.5]);
            else if (near(word, known)) like.push([known, 0.45]);
            else if ([-1, 0, 1].some((more) => known.length > word.length + more && near(word, known.slice(0, word.length + more)))) like.push([known, 0.3]);
        }
        like.sort((a, b) => b[1] - a[1] || a[0].length - b[0].length);
        let scores = new Map();
        for (const [known, quality] of like.slice(0, 24)) {
            for (const [place, score] of await exact(known, false)) {
                scores.set(place, Math.max(scores.get(place) || 0, score * quality));
            }
        }
        return scores;
    };

    const oneRun = async (word) => {
        let scores = await allOf(pieces(word), true);
        const other = plain(word);
        if (other !== word) scores = either(scores, await allOf(pieces(other), true));
        if (scores.size < 3) scores = either(scores, await inexact(word));
        return scores;
    };
    const oneWord = async (text) => {
        const { runs, joined } = parsed(text);
        if (!runs.length) return null;
        if (joined.length) {
            const scores = await allOf(joined, true);
            if (scores.size) return scores;
        }
        let scores = null;
        for (const run of runs) scores = both(scores, await oneRun(run));
        return scores;
    };

    const textOf = async (place) => {
        const file = book.starts.findLastIndex((first) => first <= place);
        await load(`d${file}`);
        return (book.texts.get(file) || [])[place - book.starts[file]];
    };

    /** The best places for what was typed: `{address, block, title, page, text}`. */
    const find = async (typed, limit = 30) => {
        await load("root");
        const groups = typed.trim().split(/\s+/).filter(Boolean).slice(0, 12);
        const each = (await Promise.all(groups.map(oneWord))).filter(Boolean);
        let scores = null;
        for (const one of each) scores = both(scores, one);
        if (!scores || !scores.size) {
            scores = new Map();
            for (const one of each) for (const [place, score] of one) scores.set(place, (scores.get(place) || 0) + score);
        }
        const best = [...scores].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, RANKED);
        const whole = folded(typed.trim());
        const ranked = await Promise.all(best.map(async ([place, score]) => {
            const found = await textOf(place);
            if (!found) return null;
            const [address, block, title, page, text] = found;
            return { address, block: block === 1, title, page, text, score: score * boost(whole, folded(title), folded(text), block) };
        }));
        return ranked.filter(Boolean).sort((a, b) => b.score - a.score).slice(0, limit);
    };
    const boost = (whole, title, text, block) => {
        const end = title.length - whole.length;
        if (title === whole) return 3;
        if (block && end > 0 && title.endsWith(whole) && /[./]/.test(title[end - 1])) return 2.4;
        if (title.includes(whole)) return 1.5;
        return text.includes(whole) ? 1.25 : 1;
    };

    // ---- The field ----

    const part = (id) => document.getElementById(`mdbook-${id}`);
    const [wrap, outer, field, results, resultsOuter, header, icon] =
        ["search-wrapper", "searchbar-outer", "searchbar", "searchresults", "searchresults-outer", "searchresults-header", "search-toggle"].map(part);
    const hasFocus = () => field === document.activeElement;

    const show = (yes) => {
        wrap.classList.toggle("hidden", !yes);
        icon.setAttribute("aria-expanded", String(yes));
        if (yes) {
            load("root");
            window.scrollTo(0, 0);
            field.select();
        }
    };

    /** Some words around the first that was typed, with those marked. */
    const teaser = (text, typed) => {
        const wanted = typed.split(/\s+/).filter(Boolean).map((word) => word.toLowerCase());
        const small = text.toLowerCase();
        const first = Math.min(...wanted.map((word) => small.indexOf(word)).filter((at) => at >= 0), text.length);
        const from = first === text.length ? 0 : Math.max(0, first - 60);
        const shown = text.slice(from, from + 200);
        const line = document.createElement("span");
        line.className = "teaser";
        if (from > 0) line.append("… ");
        let rest = shown;
        while (rest) {
            const hits = wanted.map((word) => [rest.toLowerCase().indexOf(word), word.length]).filter(([at]) => at >= 0);
            hits.sort((a, b) => a[0] - b[0]);
            const [hit] = hits;
            if (!hit) break;
            const mark = document.createElement("em");
            mark.textContent = rest.slice(hit[0], hit[0] + hit[1]);
            line.append(rest.slice(0, hit[0]), mark);
            rest = rest.slice(hit[0] + hit[1]);
        }
        line.append(rest);
        return line;
    };

    let asked = 0;
    const search = async () => {
        const typed = field.value.trim();
        asked += 1;
        const own = asked;
        field.classList.toggle("active", typed !== "");
        if (!typed) {
            resultsOuter.classList.add("hidden");
            results.replaceChildren();
            return;
        }
        outer.classList.add("searching");
        const found = await find(typed);
        // Something else was typed meanwhile.
        if (own !== asked) return;
        outer.classList.remove("searching");
        header.textContent = found.length ? `${found.length} ${found.length === 1 ? "place" : "places"} for '${typed}':` : `Nothing for '${typed}'.`;
        results.replaceChildren(...found.map((hit) => {
            const item = document.createElement("li");
            const link = document.createElement("a");
            link.href = new URL(addressOf(hit.address), home);
            link.append(hit.title || hit.page, hit.title && hit.title !== hit.page ? ` » ${hit.page}` : "");
            if (hit.block) item.className = "ops-found";
            item.append(link, teaser(hit.text, typed));
            return item;
        }));
        resultsOuter.classList.remove("hidden");
    };

    const elsewhere = (event) => event.target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(event.target.tagName);
    const keys = (event) => {
        if (event.altKey || event.ctrlKey || event.metaKey) return;
        const links = [...results.querySelectorAll("a")];
        const at = links.indexOf(document.activeElement);
        if (event.key === "Escape" && !wrap.classList.contains("hidden")) {
            event.preventDefault();
            show(false);
            icon.focus();
        } else if ((event.key === "s" || event.key === "/") && !elsewhere(event)) {
            event.preventDefault();
            show(true);
        } else if (hasFocus() && event.key === "Enter") {
            event.preventDefault();
            if (links.length) links[0].click();
        } else if (event.key === "ArrowDown" && (hasFocus() || at >= 0)) {
            event.preventDefault();
            (links[at + 1] || links[at] || field).focus();
        } else if (event.key === "ArrowUp" && at >= 0) {
            event.preventDefault();
            (links[at - 1] || field).focus();
        }
    };

    if (field) {
        icon.addEventListener("click", () => show(wrap.classList.contains("hidden")));
        field.addEventListener("input", search);
        outer.addEventListener("submit", (event) => event.preventDefault());
        document.addEventListener("keydown", keys);
        results.addEventListener("click", (event) => { if (event.target.closest("a")) show(false); });
        const address = new URLSearchParams(location.search).get("search");
        if (address) {
            show(true);
            field.value = address;
            search();
        }
    }

    return { root, terms, texts, words, find, hasFocus };
})();
window.search = { hasFocus: opsbookSearch.hasFocus };
