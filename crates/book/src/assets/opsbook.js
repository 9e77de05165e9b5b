// A box on each step, to tick off what was done by hand. It is forgotten with the browser's
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
