// Follows what was handed in until the chain has it: "sent" is not "confirmed".

import { get } from "./api.js";

const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 4_000;
const PATIENCE_MS = 10 * 60_000;
const ENDED = ["confirmed", "failed"];

/** Tells each new state of a relay, and gives the one that it ended in. */
export async function followRelay(relay, told) {
  const look = async ([{ id }]) => [await get(`/v1/relays/${id}`)];
  const [ended] = await followRelays([relay], look, ([now]) => told(now));
  return ended;
}

/** The same of several, which `look` asks for together. */
export async function followRelays(relays, look, told) {
  const begun = performance.now();
  let pause = FIRST_PAUSE_MS;
  let now = relays;
  told(now);
  while (!now.every(hasEnded) && performance.now() - begun < PATIENCE_MS) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS);
    const next = await look(now);
    if (next.some((relay, place) => isNews(relay, now[place]))) told(next);
    now = next;
  }
  return now;
}

/** Whether nothing more comes of a relay. */
export function hasEnded({ state }) {
  return ENDED.includes(state);
}

function isNews(next, before) {
  return next.state !== before.state || next.transaction !== before.transaction;
}
