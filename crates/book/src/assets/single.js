// A book in one file: all data are in it, and the theme is the reader's.
"use strict";
const opsbookSingle = true;
if (window.matchMedia && matchMedia("(prefers-color-scheme: dark)").matches) document.documentElement.className = "coal";
