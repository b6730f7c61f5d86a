// What every page has: the button to sign in, and one to print where there is something to print.

import { wireButtons } from "./sign-in.js";

for (const button of document.querySelectorAll("[data-print]")) {
  button.addEventListener("click", () => globalThis.print());
}
await wireButtons([...document.querySelectorAll("[data-sign-in]")]);
