// The grid operator's page: audits on demand, and requests that wait for an answer.

import { get, send } from "./api.js";
import { el } from "./dom.js";
import { power, problemWords, t } from "./words.js";

const POLL_MS = 700;

for (const button of document.querySelectorAll("[data-audit]")) {
  const status = document.querySelector("[data-audit-status]");
  button.addEventListener("click", () => audit(button, status));
}
for (const [name, path] of [
  ["applications", "/v1/applications"],
  ["pairings", "/v1/pairings"],
]) {
  const section = document.querySelector(`[data-${name}]`);
  if (section?.getAttribute(`data-${name}`)) await requests(section, name, path);
}

/** Begins an audit and follows it; the page that is loaded then shows what it found. */
async function audit(button, status) {
  button.disabled = true;
  try {
    let record = await send("POST", "/v1/grid/audits");
    status.textContent = t("js.grid.audit.begins");
    while (record.state === "running") {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      record = await get(`/v1/grid/audits/${record.id}`);
      if (record.progress) status.textContent = t("js.grid.audit.runs", record.progress);
    }
    status.textContent = t("js.grid.audit.ended");
    location.reload();
  } catch (problem) {
    status.textContent = problemWords(problem);
    button.disabled = false;
  }
}

/** Requests of people that wait, each with two answers. */
async function requests(section, name, path) {
  const list = section.querySelector(`[data-list="${name}"]`);
  try {
    const { items } = await get(`${path}?state=waiting`);
    list.replaceChildren(
      items.length === 0
        ? el("p", {}, t("js.grid.nobody"))
        : el("ul", { class: "requests" }, ...items.map((each) => request(each, path))),
    );
  } catch (problem) {
    list.textContent = problemWords(problem);
  }
}

function request(each, path) {
  const said = el("p", { class: "hint", role: "status" });
  const buttons = el("p", { class: "buttons" });
  const answer = async (verb, sentence) => {
    try {
      await send("POST", `${path}/${each.id}/${verb}`);
      buttons.remove();
      said.textContent = t(sentence);
    } catch (problem) {
      said.textContent = problemWords(problem);
    }
  };
  buttons.append(
    button("js.grid.accept", "button primary", () => answer("accept", "js.grid.accepted")),
    button("js.grid.refuse", "button", () => answer("refuse", "js.grid.refused")),
  );
  return el(
    "li",
    { class: "card" },
    el("p", {}, el("strong", {}, each.name ?? each.label)),
    el("p", { class: "code" }, each.address ?? each.owner),
    ...(each.key ? deviceOf(each) : []),
    ...[each.contact, each.note].filter(Boolean).map((text) => el("p", {}, text)),
    buttons,
    said,
  );
}

/** What is decided of a device: whose energy it counts, how well, and how much it may say. */
function deviceOf({ account, class: kind, limit_w, key }) {
  const facts = { account: String(account), kind: t(`js.grid.class.${kind}`), limit: power(limit_w) };
  return [el("p", {}, t("js.grid.device", facts)), el("p", { class: "code" }, key)];
}

function button(key, kind, act) {
  return el("button", { type: "button", class: kind, onclick: act }, t(key));
}
