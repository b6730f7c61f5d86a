// What the escrow owes the reader is paid to their wallet: asked for, then followed to the chain.
// Nothing is signed: the contract pays nobody else, whoever asks.

import { get, send } from "./api.js";
import { el } from "./dom.js";
import { followRelays, hasEnded } from "./relays.js";
import { money, t } from "./words.js";

const PAYOUTS = "/v1/income/payouts";
const TONES = { confirmed: "is-good", failed: "is-bad" };

/** Asks for everything that can be paid out, and gives the relays that bring it. */
export async function askForPayout() {
  return (await send("POST", PAYOUTS)).relays;
}

/** Relays that were on their way when the page was made. */
export async function payoutUnderWay() {
  return (await get(PAYOUTS)).relays.filter((relay) => !hasEnded(relay));
}

/** Shows how all of them fare, whenever one moves on, and gives what they came to. */
export function followPayout(relays, said) {
  return followRelays(relays, look, (now) => {
    // How it ended is said together with what it changed.
    if (!now.every(hasEnded)) said.replaceChildren(payoutState(now));
  });
}

async function look(relays) {
  const last = new Map((await get(PAYOUTS)).relays.map((relay) => [relay.id, relay]));
  // One that is not among the last was paid, and another tab has asked for more since.
  return Promise.all(relays.map(({ id }) => last.get(id) ?? get(`/v1/relays/${id}`)));
}

/** How a payout of several relays stands, in one sentence. */
export function payoutState(relays) {
  const state = stateOfAll(relays);
  const paid = relays.filter((relay) => relay.state === "confirmed");
  const amount = paid.reduce((sum, relay) => sum + BigInt(relay.amount_micro), 0n);
  const facts = { confirmed: { amount: money(amount) }, failed: {} }[state] ?? { n: relays.length };
  return el(
    "div",
    { class: `notice ${TONES[state] ?? ""}`, "data-relay": state },
    el("p", {}, t(`js.home.payout.${state}`, facts)),
  );
}

function stateOfAll(relays) {
  const states = relays.map((relay) => relay.state);
  if (relays.every(hasEnded)) return states.includes("failed") ? "failed" : "confirmed";
  return states.every((state) => state === "accepted") ? "accepted" : "sent";
}
