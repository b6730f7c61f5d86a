// Nobody signs blind: what a wallet will show is shown before, in the same order and in words.

import { el, showDialog } from "./dom.js";
import { digestHex } from "./eip712.js";
import { checksumAddress } from "./octets.js";
import { showProblem } from "./sign-in.js";
import { fieldsInOrder, KINDS } from "./typed.js";
import { requireChain, signTyped } from "./wallet.js";
import { instant, money, price, t } from "./words.js";

const NO_LIMIT = 2n ** 64n - 1n;

/** What a field's value means, by the kind of field. */
const SAID = {
  address: (value, note) => note ?? checksumAddress(value),
  noted: (value, note) => note ?? value,
  money: (value) => money(value),
  price: (value) => price(value),
  hourly: (value) => t("js.sign.per_hour", { price: money(value) }),
  highest: (value) => (BigInt(value) === NO_LIMIT ? t("js.sign.no_limit") : price(value)),
  lowest: (value) => (BigInt(value) === 0n ? t("js.sign.no_limit") : price(value)),
  instant: (value) => instant(new Date(Number(value) * 1000)),
};

/**
 * Shows what will be signed, and signs it: a signature, null if the reader would rather not.
 *
 * `connected` is what `ensureSignedIn` gives. `typed` may be a list: then all of it is shown in one
 * dialog and signed one after the other, and the answer is a list, too. `description` has a `title`,
 * a `lead`, and `notes` by field: what an id stands for, such as a charger's name.
 */
export async function reviewAndSign(connected, typed, { title, lead, notes = {} }) {
  const all = Array.isArray(typed) ? typed : [typed];
  const signatures = await showDialog(title, (dialog, close) => {
    const said = el("div", { role: "alert" });
    const words = t("js.sign.sign", { n: all.length });
    const sign = el("button", { type: "button", class: "button primary" }, words);
    const leave = () => close(null);
    const cancel = el("button", { type: "button", class: "button", onclick: leave });
    cancel.textContent = t("js.wallet.cancel");
    const go = () => signAll(connected, all, { said, buttons: [sign, cancel], close, go });
    sign.addEventListener("click", go);
    dialog.classList.add("review");
    dialog.append(
      el("p", {}, lead),
      ...all.map((each, place) => messageOf(each, { place, count: all.length, notes })),
      el("p", { class: "hint" }, t(walletHint(connected), { wallet: connected.wallet.name })),
      said,
      el("div", { class: "buttons closing" }, sign, cancel),
    );
  });
  return Array.isArray(typed) || signatures === null ? signatures : signatures[0];
}

function walletHint({ wallet }) {
  return wallet.isDemo ? "js.sign.demo_wallet" : "js.sign.wallet_next";
}

async function signAll(connected, all, { said, buttons, close, go }) {
  for (const button of buttons) button.disabled = true;
  const signatures = [];
  try {
    await requireChain(connected);
    for (const [place, each] of all.entries()) {
      const facts = { wallet: connected.wallet.name, at: place + 1, of: all.length };
      said.replaceChildren(el("p", { class: "notice" }, t("js.sign.asking", facts)));
      signatures.push(await signTyped(connected, each));
    }
    close(signatures);
  } catch (problem) {
    showProblem(said, problem, connected.wallet, go);
    for (const button of buttons) button.disabled = false;
  }
}

function messageOf(typed, { place, count, notes }) {
  const { domain, types, primaryType, message } = typed;
  const rows = [...fieldsInOrder(types, primaryType, message)].map((field) =>
    rowOf(field, notes[field.path] ?? notes[field.name]),
  );
  const name = t(`js.sign.type.${primaryType}`);
  const heading = count > 1 ? t("js.sign.numbered", { at: place + 1, of: count, name }) : name;
  const digest = el("code", { class: "code", "data-digest": true }, digestHex(typed));
  return el(
    "section",
    { "data-message": primaryType },
    el("h3", {}, heading),
    el("p", { class: "hint breakable" }, domainWords(domain)),
    el("dl", { class: "signed" }, ...rows),
    el("p", { class: "hint" }, t("js.sign.digest"), " ", digest),
  );
}

function domainWords({ name, version, chainId, verifyingContract }) {
  const contract = verifyingContract;
  return t("js.sign.domain", { name, version, chain: String(chainId), contract });
}

/** The field as the wallet names it, what it means, and its value exactly as it is signed. */
function rowOf({ name, path, type, value }, note) {
  const said = SAID[KINDS[name] ?? "noted"](String(value), note);
  const exact = String(value);
  return el(
    "div",
    { "data-field": path },
    el("dt", {}, el("code", {}, name), " ", t(`js.sign.field.${name}`)),
    el("dd", {}, said, said === exact ? null : el("small", { class: "code", title: type }, exact)),
  );
}
