// A statement's page: prints, and verifies.

import "./verify-buttons.js";

document.querySelector("[data-print]").addEventListener("click", () => globalThis.print());
