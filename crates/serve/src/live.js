// Shows a page anew where its source has changed. The place on the page is kept by the browser.
"use strict";
new EventSource("/-/changes").onmessage = () => location.reload();
