// Buttons that verify a statement where it stands: `<button data-verify="/v1/…">`.

import { get } from "./api.js";
import { verifyInto } from "./verify-file.js";
import { failure } from "./verify-view.js";
import { problemWords } from "./words.js";

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-verify]");
  if (button === null) return;
  const container = button.closest(".statement").querySelector("[data-verified]");
  button.disabled = true;
  try {
    await verifyInto(container, await textOf(button.dataset.verify));
  } catch (problem) {
    container.replaceChildren(failure(problemWords(problem)));
  } finally {
    button.disabled = false;
  }
});

/** The file as it is, to the last digit. */
async function textOf(path) {
  const answer = await fetch(path, { credentials: "same-origin", headers: { Accept: "application/json" } });
  if (answer.ok) return answer.text();
  return get(path); // Fails again, in words.
}
