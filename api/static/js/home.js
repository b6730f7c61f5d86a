// The prosumer's page: signs what its forms ask for, and follows it to the chain.

import "./verify-buttons.js";
import { get, send } from "./api.js";
import { el } from "./dom.js";
import { ACTS, BadInput } from "./home-acts.js";
import { askForPayout, followPayout, payoutState, payoutUnderWay } from "./home-payout.js";
import { PEOPLE } from "./home-people.js";
import { keepLive } from "./live.js";
import { market } from "./market.js";
import { followRelay } from "./relays.js";
import { ensureSignedIn, showProblem } from "./sign-in.js";
import { askThrough, Token } from "./token.js";
import { keptWallet, walletInUse } from "./wallet.js";
import { money, t } from "./words.js";

const SECTIONS = ["shown", "money", "charged", "limits", "meters", "name", "statements"];
const NEWS = ["window", "period"]; // After these events figures may be others.
const LOOK_AGAIN_MS = 4_000;

/* What is asked for */

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-act]");
  if (form === null) return;
  event.preventDefault();
  if (form.dataset.act === "payout") payOut(form, askForPayout);
  else if (form.dataset.act in PEOPLE) tell(form);
  else act(form);
});
document.addEventListener("click", ({ target }) => {
  const back = target.closest("[data-take-back]");
  if (back !== null) act(back.form, { takeBack: true });
  const tokens = target.closest("[data-tokens]");
  if (tokens !== null) takeTokens(tokens.form);
});
document.addEventListener("change", ({ target }) => {
  if (target.name !== "source") return;
  target.form.querySelector("[data-device]").hidden = target.value !== "device";
});

/** Something that the wallet signs. */
async function act(form, options = {}) {
  await busy(form, async (said) => {
    const connected = await ensureSignedIn();
    if (connected === null) return;
    const account = await accountOf(form);
    const relay = await ACTS[form.dataset.act](form, connected, account, options);
    if (relay === null) return;
    form.reset();
    await followed(form.dataset.act, relay, said);
  });
}

/** Something that the service is told. */
async function tell(form) {
  await busy(form, async (said) => {
    const connected = await ensureSignedIn();
    if (connected === null) return;
    const done = await PEOPLE[form.dataset.act](form, { owner: connected.address });
    if (form.dataset.act === "join") location.reload();
    else await settled(form.dataset.act, el("div", { class: "notice is-good" }, ...done), said);
  });
}

/** What the chargers of whoever is signed in took in, and what could not be sent to them. */
async function payOut(form, relaysOf) {
  await busy(form, async (said) => {
    const relays = await relaysOf();
    if (!relays.length) return refresh(); // They have ended since the page was made.
    const ended = await followPayout(relays, said);
    await settled("payout", payoutState(ended), said);
  });
}

async function takeTokens(form) {
  await busy(form, async (said) => {
    const relay = await send("POST", "/v1/demo/tokens", {});
    await followed("tokens", relay, said);
  });
}

/** Does something with a form's buttons off, and says what came in the way. */
async function busy(form, work) {
  const said = form.querySelector("[data-said]");
  const buttons = [...form.querySelectorAll("button")];
  form.toggleAttribute("data-pressed", form.contains(document.activeElement));
  clearErrors(form);
  said.replaceChildren();
  for (const button of buttons) button.disabled = true;
  try {
    await work(said);
  } catch (problem) {
    if (problem instanceof BadInput) showError(form, problem);
    else showProblem(said, problem);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

async function followed(name, relay, said) {
  const ended = await followRelay(relay, (now) => {
    // That it is confirmed is said together with what it changed.
    if (now.state !== "confirmed") said.replaceChildren(stateOf(name, now));
  });
  if (ended.state === "confirmed") await settled(name, stateOf(name, ended), said);
}

/** Shows the page as it is now, and in it what was done. */
async function settled(name, message, said) {
  await refresh();
  const form = name === "tokens" ? "deposit" : name;
  // The form that is there now is another one, as empty of messages as a new page.
  const fresh = document.querySelector(`form[data-act="${form}"] [data-said]`) ?? said;
  fresh.replaceChildren(message);
  // The button that was pressed is gone with its form: whoever goes by keyboard stays here.
  fresh.tabIndex = -1;
  const isLost = said.closest("[data-pressed]") && document.activeElement === document.body;
  if (isLost) fresh.focus({ preventScroll: true });
  fresh.closest("details")?.setAttribute("open", "");
}

function stateOf(name, relay) {
  const tone = { confirmed: "is-good", failed: "is-bad" }[relay.state] ?? "";
  const parts = [t(`js.home.relay.${relay.state}`, { reason: relay.reason || "—" })];
  if (relay.state === "confirmed") parts.push(t(`js.home.done.${name}`));
  const where = relay.transaction && [`${t("js.verify.transaction")} `, el("code", {}, relay.transaction)];
  return el(
    "div",
    { class: `notice ${tone}`, "data-relay": relay.state },
    el("p", {}, parts.join(" ")),
    where && el("p", { class: "quiet" }, ...where),
  );
}

/** What a signature depends on, as it is at this moment. */
async function accountOf(form) {
  const number = Number(form.closest("[data-account]").dataset.account);
  const found = await get(`/v1/accounts/${number}`);
  return {
    number,
    limitsNonce: found.next_nonces.price_limits,
    withdrawalNonce: found.next_nonces.withdrawal,
    balanceNano: BigInt(found.balance_nano),
  };
}

/** Takes the parts that may have changed from the page as it is now; the reader stays where they are. */
async function refresh() {
  const fresh = await pageNow();
  if (fresh === null) return;
  for (const id of SECTIONS) {
    const [old, next] = [document.getElementById(id), fresh.getElementById(id)];
    if (old !== null && next !== null) old.replaceWith(document.adoptNode(next));
    else old?.remove();
  }
  ready();
}

async function pageNow() {
  const headers = { Accept: "text/html" };
  const answer = await fetch(location.href, { credentials: "same-origin", headers });
  if (!answer.ok) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

/* What is wrong with a field */

function showError(form, { field, message }) {
  const input = form.elements[field];
  const error = input.closest(".field").querySelector("[data-error]");
  error.textContent = message;
  error.hidden = false;
  input.setAttribute("aria-invalid", "true");
  input.focus();
}

function clearErrors(form) {
  for (const error of form.querySelectorAll("[data-error]")) {
    error.hidden = true;
    error.textContent = "";
  }
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

/* What changes by itself */

/** Nothing of this page can be sent without its script, so its buttons wait for it. */
function ready() {
  for (const button of document.querySelectorAll("form[data-act] button")) button.disabled = false;
  showHeld();
}

/** What the wallet holds, beside the field that asks for it. */
async function showHeld() {
  const place = document.querySelector("[data-held]");
  if (place === null || keptWallet() === null) return;
  try {
    const { chain_id, contracts } = await market();
    const connected = await walletInUse(chain_id);
    if (connected === null) return;
    const token = new Token(askThrough(connected.wallet), contracts.token);
    const held = await token.balanceOf(connected.address);
    place.textContent = t("js.home.deposit.held", { money: money(held) });
  } catch {
    // The hint that is there stays; whoever pays in is told what is wrong.
  }
}

/** Whoever waits to be let in sees when it is decided. */
async function watchApplication() {
  const shown = document.getElementById("application")?.dataset.state;
  if (!["waiting", "accepting"].includes(shown)) return;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    if (document.hidden) continue;
    const fresh = await pageNow().catch(() => null);
    if (fresh !== null && fresh.getElementById("application")?.dataset.state !== shown) {
      location.reload();
      return;
    }
  }
}

ready();
watchApplication();
// A payout that was on its way when the page was left is followed on.
const payout = document.querySelector("form[data-under-way]");
if (payout !== null) payOut(payout, payoutUnderWay);
if (document.getElementById("shown")) keepLive("shown", NEWS, () => {});
