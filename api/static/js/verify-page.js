// The page on which anybody checks a file that they were given.

import { el } from "./dom.js";
import { verifyInto } from "./verify-file.js";
import { failure } from "./verify-view.js";
import { t } from "./words.js";

const BYTES_MAX = 2 ** 20;

const form = document.getElementById("verify-form");
const drop = document.getElementById("drop");
const container = document.getElementById("verified");
let turn = 0;

async function take(file) {
  turn += 1;
  const mine = turn;
  const place = el("div");
  container.replaceChildren(place);
  if (file.size > BYTES_MAX) {
    place.replaceChildren(failure(t("js.verify.too_large")));
    return;
  }
  const text = await file.text();
  // Of two files that were given one after the other, the later one stays.
  if (mine === turn) await verifyInto(place, text, { rpcUrl: form.elements.rpc.value.trim(), named: true });
}

form.elements.file.addEventListener("change", ({ target }) => {
  if (target.files.length > 0) take(target.files[0]);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const [file] = form.elements.file.files;
  if (file) take(file);
  else form.elements.file.focus();
});
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("is-over");
  });
}
for (const name of ["dragleave", "drop"]) {
  drop.addEventListener(name, () => drop.classList.remove("is-over"));
}
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file) take(file);
});
