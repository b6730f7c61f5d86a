// Follows what was handed in until the chain has it: "sent" is not "confirmed".

import { get } from "./api.js";

const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 4_000;
const PATIENCE_MS = 10 * 60_000;

/** Tells each new state of a relay, and gives the one that it ended in. */
export async function followRelay(relay, told) {
  const begun = performance.now();
  let pause = FIRST_PAUSE_MS;
  let now = relay;
  told(now);
  while (!["confirmed", "failed"].includes(now.state) && performance.now() - begun < PATIENCE_MS) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS);
    const next = await get(`/v1/relays/${relay.id}`);
    if (next.state !== now.state || next.transaction !== now.transaction) told(next);
    now = next;
  }
  return now;
}
