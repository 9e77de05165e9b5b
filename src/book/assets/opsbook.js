// Small comforts. The book says everything without this file.
"use strict";

// Paper cannot be clicked.
window.addEventListener("beforeprint", () => {
    document.querySelectorAll(".ops details").forEach((contract) => { contract.open = true; });
});
