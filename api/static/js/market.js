// The community's facts and its time: what people sign goes by it, never by the browser's clock.

import { get } from "./api.js";

let asked = null;
let heardAtMs = 0;

/** `GET /v1/market`, asked once. */
export function market() {
  asked ??= get("/v1/market").then(
    (found) => {
      heardAtMs = performance.now();
      return found;
    },
    (problem) => {
      asked = null;
      throw problem;
    },
  );
  return asked;
}

/** The community's time now, in milliseconds since 1970. */
export async function communityMs() {
  const { now, speed } = await market();
  return Date.parse(now) + (performance.now() - heardAtMs) * speed;
}

/** A time from now, in the community's Unix seconds; `realS` of the reader's seconds ahead. */
export async function communitySecondsAhead(realS) {
  const { speed } = await market();
  return Math.floor((await communityMs()) / 1000) + realS * speed;
}
