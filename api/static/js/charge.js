// The page at a charger: from a deposit to the refund, whatever drops on the way.

import { ApiProblem, get, send } from "./api.js";
import { microOf } from "./amounts.js";
import { follow, hasEnded, LiveView, outcomeOf } from "./charge-live.js";
import {
  bringOrder,
  isUnanswered,
  keepOrder,
  keptOrder,
  runningSession,
  signOrder,
  topUp,
} from "./charge-order.js";
import { el, showDialog } from "./dom.js";
import { CHANGED, ensureSignedIn, identity, showProblem, wordsOfProblem } from "./sign-in.js";
import { money, t } from "./words.js";

const LOOK_AGAIN_MS = 5_000;
const ROOT = document.getElementById("charge");
const POINT = ROOT.dataset.point;
const CONNECTOR = Number(ROOT.dataset.connector);
const NAME = ROOT.dataset.name;
const KEY = `${POINT}/${CONNECTOR}`;
const LAST = `wattledger.session.${KEY}`;
const STATES = {
  available: "free",
  preparing: "plugged",
  occupied: "plugged",
  finishing: "finishing",
  reserved: "reserved",
  unavailable: "unavailable",
  faulted: "faulted",
};
const USABLE = new Set(["free", "plugged"]);

const form = document.getElementById("order");
const start = document.getElementById("start");
const orderSaid = document.getElementById("order-said");
const liveSaid = document.getElementById("live-said");
const answer = document.getElementById("answer");
const view = new LiveView(
  document.getElementById("live"),
  answer,
  document.getElementById("heard"),
  NAME,
);

let isAtWork = false;
let isUsable = !start.hasAttribute("data-unusable");
let followed = null;

// What is on offer.

function say(words) {
  orderSaid.replaceChildren(...(words ? [el("p", { class: "notice" }, words)] : []));
}

function allow() {
  start.disabled = isAtWork || !isUsable;
}

async function lookAtCharger() {
  if (followed !== null || isAtWork || document.hidden) return;
  const { point, connector } = await chargerNow();
  const state = stateOf(point, connector);
  isUsable = USABLE.has(state);
  const words = t(`js.charge.state.${state}`);
  const badge = document.querySelector("[data-state]");
  badge.textContent = words;
  badge.classList.toggle("is-final", isUsable);
  const note = document.getElementById("unusable");
  note.hidden = isUsable;
  note.textContent = t("js.charge.unusable", { state: words });
  allow();
}

async function chargerNow() {
  const point = await get(`/v1/chargers/${encodeURIComponent(POINT)}`);
  return { point, connector: point.connectors.find((each) => each.connector_id === CONNECTOR) };
}

function stateOf(point, connector) {
  if (point.state !== "online") return "offline";
  return connector.busy ? "busy" : (STATES[connector.state] ?? "busy");
}

// The deposit.

function chosenDeposit() {
  const { deposit, amount } = form.elements;
  const text = deposit.value === "other" ? amount.value : null;
  const micro = text === null ? BigInt(deposit.value) : microOf(text);
  const least = BigInt(form.dataset.least);
  const isGood = micro !== null && micro >= least;
  const error = document.getElementById("amount-error");
  error.hidden = isGood;
  error.textContent = isGood ? "" : t("js.charge.bad_amount", { least: money(least) });
  amount.setAttribute("aria-invalid", String(!isGood));
  if (!isGood) amount.focus();
  return isGood ? micro : null;
}

function showWhatItBuys() {
  const micro = microOf(form.elements.amount.value);
  const hint = document.getElementById("amount-hint");
  if (micro === null || micro < BigInt(form.dataset.least)) return;
  hint.textContent = buysWords(micro);
}

/** What a deposit is good for at full power, until its guard stops the charge. */
function buysWords(micro) {
  const { rate, reserve, start: startFee, power } = form.dataset;
  if (rate === "0") return t("js.charge.buys_any");
  const spare = micro - BigInt(startFee) - BigInt(reserve);
  const seconds = (spare * 3_600_000n) / BigInt(rate);
  return t("js.charge.buys", { kwh: Number((seconds * BigInt(power)) / 3_600_000n) });
}

// The order.

async function order(depositMicro) {
  const connected = await ensureSignedIn({ reason: t("js.charge.reason") });
  if (connected === null) return say(t("js.charge.cancelled"));
  const running = await runningSession(connected.address, POINT, CONNECTOR);
  if (running !== null) return attend(running);
  const { connector } = await chargerNow();
  requireShownTariff(connector);
  const facts = { connector, name: NAME, depositMicro, say };
  const body = await signOrder(connected, facts);
  if (body === null) return say(t("js.charge.cancelled"));
  keepOrder(KEY, body);
  return bring(body);
}

async function bring(body) {
  say(t("js.charge.sending"));
  try {
    attend(await bringOrder(KEY, body));
  } catch (problem) {
    // Another tab of the same driver may have been quicker: then that charge is this one.
    const running =
      problem.code === "charger_busy"
        ? await runningSession(body.order.driver, POINT, CONNECTOR).catch(() => null)
        : null;
    if (running === null) throw problem;
    attend(running);
  }
}

/** A price that changed while the page was open is not signed unseen. */
function requireShownTariff(connector) {
  const shown = JSON.parse(form.dataset.tariff);
  const isSame = Object.entries(connector.tariff).every(([name, price]) => shown[name] === price);
  if (!isSame) throw new ApiProblem({ code: "tariff_changed", detail: "", status: 409 });
}

async function atWork(work) {
  if (isAtWork) return;
  isAtWork = true;
  allow();
  try {
    await work();
  } catch (problem) {
    await tellProblem(problem);
  } finally {
    isAtWork = false;
    allow();
  }
}

async function tellProblem(problem) {
  if (problem.code === "funds_missing" && problem.neededMicro !== undefined) {
    const facts = { needed: money(problem.neededMicro), held: money(problem.heldMicro) };
    orderSaid.replaceChildren(
      el("p", { class: "notice is-bad" }, t("js.charge.funds_missing", facts)),
    );
    return;
  }
  showProblem(orderSaid, problem);
  if (isUnanswered(problem) && keptOrder(KEY) !== null) {
    const again = () => atWork(() => bring(keptOrder(KEY)));
    orderSaid.append(
      el("p", {}, t("js.charge.again")),
      el("button", { type: "button", class: "button", onclick: again }, t("js.charge.try_again")),
    );
  } else if (problem.code === "tariff_changed") {
    const look = () => location.reload();
    orderSaid.append(
      el("button", { type: "button", class: "button", onclick: look }, t("js.charge.look")),
    );
  }
}

// The charge.

function attend(session) {
  say("");
  document.querySelector("[data-state]").hidden = true;
  sessionStorage.setItem(LAST, session.session_id);
  document.getElementById("offer").hidden = true;
  if (hasEnded(session)) return showOutcome(session);
  show(session);
  followed?.close();
  followed = follow(session.session_id, {
    onSession: show,
    onLost: (isLost) => view.lose(isLost),
    onProblem: (problem) => streamEnded(session, problem),
  });
  globalThis.scrollTo({ top: 0 });
}

function show(session) {
  if (hasEnded(session)) return showOutcome(session);
  const before = view.session?.deposit_micro;
  if (before !== undefined && before !== session.deposit_micro) liveSaid.replaceChildren();
  view.show(session);
  const isRunning = ["opening", "open", "charging"].includes(session.state);
  document.getElementById("stop").hidden = !isRunning;
  document.getElementById("top-up").hidden = !["open", "charging"].includes(session.state);
}

/** The stream was refused or failed: ask once what is so, and who we are. */
async function streamEnded(session, problem) {
  try {
    if (problem) throw problem;
    const now = await get(`/v1/sessions/${session.session_id}`);
    setTimeout(() => attend(now), LOOK_AGAIN_MS);
  } catch (failure) {
    showProblem(liveSaid, failure);
    if (failure.status === 401) await ensureSignedIn({ reason: t("js.charge.reason") });
    setTimeout(() => streamEnded(session, null), LOOK_AGAIN_MS);
  }
}

function showOutcome(session) {
  followed?.close();
  const [headline, says] = outcomeOf(session);
  document.getElementById("live").hidden = true;
  document.getElementById("offer").hidden = true;
  const outcome = document.getElementById("outcome");
  const put = (name, text) => {
    outcome.querySelector(`[data-outcome="${name}"]`).textContent = text;
  };
  answer.textContent = headline;
  put("says", says);
  const hash = session.transactions.close;
  put("transaction", hash ? t("js.charge.end.transaction", { hash }) : "");
  const receipt = document.getElementById("receipt");
  receipt.hidden = session.state !== "closed";
  for (const link of receipt.querySelectorAll("[data-receipt]")) {
    const format = link.dataset.receipt;
    link.href = `/v1/sessions/${session.session_id}/receipt?format=${format}`;
    if (format === "json") link.download = `receipt-${session.session_id.slice(2, 10)}.json`;
  }
  document.getElementById("check").onclick = () => check(session);
  document.getElementById("heard").textContent = headline;
  outcome.hidden = false;
  answer.focus();
  tellWhatWaits().catch(() => {}); // Home says it, too.
}

/** A refund that the money's contract refused to send is not lost: the driver has it paid out. */
async function tellWhatWaits() {
  const { claimable_micro: waits } = await get("/v1/income");
  if (waits === "0") return;
  const words = t("js.charge.end.waits", { amount: money(waits) });
  const link = el("a", { href: "/home#charged" }, t("js.charge.end.waits.go"));
  document.getElementById("waits").replaceChildren(
    el("p", { class: "notice is-warning" }, words, " ", link),
  );
}

async function check(session) {
  const place = document.getElementById("checked");
  place.replaceChildren(el("p", {}, t("js.charge.check.running")));
  const { checkedReceipt } = await import("./charge-check.js");
  place.replaceChildren(await checkedReceipt(session.session_id));
}

document.getElementById("stop").addEventListener("click", async ({ currentTarget }) => {
  currentTarget.disabled = true;
  liveSaid.replaceChildren(el("p", { class: "notice" }, t("js.charge.stopping")));
  try {
    show(await send("POST", `/v1/sessions/${view.session.session_id}/stop`));
  } catch (problem) {
    showProblem(liveSaid, problem);
    currentTarget.disabled = false;
  }
});

document.getElementById("top-up").addEventListener("click", async ({ currentTarget }) => {
  currentTarget.disabled = true;
  try {
    const addMicro = await askAmount();
    if (addMicro === null) return;
    const connected = await ensureSignedIn({ reason: t("js.charge.reason") });
    if (connected === null) return;
    const sayLive = (words) =>
      liveSaid.replaceChildren(...(words ? [el("p", { class: "notice" }, words)] : []));
    const facts = { name: NAME, addMicro, say: sayLive };
    const session = await topUp(connected, view.session, facts);
    if (session === null) return;
    sayLive(t("js.charge.top_up.sent", { amount: money(addMicro) }));
    show(session);
  } catch (problem) {
    liveSaid.replaceChildren(el("p", { class: "notice is-bad" }, wordsOfProblem(problem)));
  } finally {
    currentTarget.disabled = false;
  }
});

/** How much is to be added: one of the deposits that are on offer. */
function askAmount() {
  const offered = [...form.elements.deposit].map((each) => each.value);
  return showDialog(t("js.charge.top_up.title"), (dialog, close) => {
    const buttons = offered
      .filter((value) => value !== "other")
      .map((value) => {
        const choose = () => close(BigInt(value));
        const button = el("button", { type: "button", class: "button", onclick: choose });
        button.textContent = money(value);
        return el("li", {}, button);
      });
    const leave = el("button", { type: "button", class: "button", onclick: () => close() });
    leave.textContent = t("js.wallet.cancel");
    dialog.append(el("ul", { class: "picks" }, ...buttons), el("p", { class: "closing" }, leave));
  });
}

// From here on.

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const kept = keptOrder(KEY);
  const depositMicro = kept === null ? chosenDeposit() : null;
  if (kept !== null) atWork(() => bring(kept));
  else if (depositMicro !== null) atWork(() => order(depositMicro));
});
form.elements.amount.addEventListener("focus", () => {
  document.getElementById("other").checked = true;
});
form.elements.amount.addEventListener("input", showWhatItBuys);
// Whoever signs in on this page is in the midst of something: it is not made anew.
document.addEventListener(CHANGED, (event) => {
  event.preventDefault();
  if (event.detail !== null && !isAtWork) atWork(resume);
});
document.querySelector("#outcome a[href^='/charge']").addEventListener("click", () => {
  sessionStorage.removeItem(LAST);
});

/** Finds what was under way when the page was left: an order, a charge, or its outcome. */
async function resume() {
  const kept = keptOrder(KEY);
  if (kept !== null) {
    say(t("js.charge.again"));
    return bring(kept);
  }
  const me = await identity();
  if (me === null) return null;
  const running = await runningSession(me.address, POINT, CONNECTOR);
  if (running !== null) return attend(running);
  const last = sessionStorage.getItem(LAST);
  if (last === null) return null;
  try {
    return attend(await get(`/v1/sessions/${last}`));
  } catch (problem) {
    if (!(problem instanceof ApiProblem)) throw problem;
    sessionStorage.removeItem(LAST);
    return null;
  }
}

await atWork(resume);
await lookAtCharger();
setInterval(() => lookAtCharger().catch(() => {}), LOOK_AGAIN_MS);
document.addEventListener("visibilitychange", () => lookAtCharger().catch(() => {}));
