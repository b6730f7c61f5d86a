// A charge as it goes: figures by the meter's clock, and one line a minute for whoever listens.

import { ApiProblem } from "./api.js";
import { communityMs } from "./market.js";
import { clock, energy, has, money, power, t, UNKNOWN } from "./words.js";

const HEARD_EVERY_MS = 60_000;
const STALE_INTERVALS = 3;
const STALE_LEAST_MS = 30_000;
const LOOK_AGAIN_MS = 1_000;
const MICRO_PER_CENT = 10_000n;
const ENDED = new Set(["closed", "cancelled", "reclaimed", "failed"]);
const RUNNING = new Set(["opening", "open", "charging"]);

/** Whether a session is over. */
export function hasEnded(session) {
  return ENDED.has(session.state);
}

/** Shows a session in the page's parts, and tells changes to `heard`. */
export class LiveView {
  constructor(section, answer, heard, name) {
    this.section = section;
    this.answer = answer; // The page's first sentence.
    this.heard = heard;
    this.name = name;
    this.session = null;
    this.saidState = null;
    this.saidAtMs = 0;
    this.isLost = false;
    setInterval(() => this.#age(), LOOK_AGAIN_MS);
  }

  show(session) {
    this.session = session;
    this.section.hidden = false;
    const { cost_micro: cost, deposit_micro: deposit, stops_at_micro: limit } = session;
    const begun = session.started_at !== null;
    this.#answer(this.#headline());
    this.#put("energy", begun ? energy(session.energy_wh) : UNKNOWN);
    this.#put("cost", begun ? money(cost) : UNKNOWN);
    this.#put("power", power(session.power_w));
    this.#put("left", money(BigInt(deposit) - BigInt(cost)));
    this.#put("time", begun ? spanOf(session.time_s + session.idle_s) : UNKNOWN);
    const progress = this.section.querySelector("progress");
    progress.max = Math.max(1, Number(limit));
    progress.value = Math.min(Number(cost), Number(limit));
    const about = BigInt(limit) - (BigInt(limit) % MICRO_PER_CENT);
    const facts = { cost: money(cost), deposit: money(deposit), limit: money(about) };
    this.#put("limit", t("js.charge.live.stops_at", facts));
    this.#age();
    this.#tell();
  }

  /** The stream is broken, or back. */
  lose(isLost) {
    this.isLost = isLost;
    if (this.session !== null) this.#answer(this.#headline());
  }

  #headline() {
    if (this.isLost) return t("js.charge.live.lost");
    const { state, deposit_micro: deposit, energy_wh: wh, cost_micro: cost } = this.session;
    switch (state) {
      case "opening":
        return t("js.charge.live.opening", { deposit: money(deposit) });
      case "open":
        return t("js.charge.live.open", { name: this.name });
      case "charging":
        return t("js.charge.live.charging", { energy: energy(wh), cost: money(cost) });
      default:
        return t("js.charge.live.stopping");
    }
  }

  /** A value that is old is shown as old. */
  async #age() {
    if (this.session === null) return;
    const { measured_at: measuredAt, interval_s: intervalS } = this.session;
    if (measuredAt === null) {
      this.#put("measured", t("js.charge.live.not_yet"));
      return;
    }
    const ageMs = (await communityMs()) - Date.parse(measuredAt);
    const isStale = ageMs > Math.max(STALE_LEAST_MS, STALE_INTERVALS * intervalS * 1000);
    const time = clock(measuredAt, { seconds: true });
    const words = isStale
      ? t("js.charge.live.stale", { ago: agoOf(ageMs), time })
      : t("js.charge.live.measured", { time });
    this.#put("measured", words);
    this.section.classList.toggle("is-stale", isStale && RUNNING.has(this.session.state));
  }

  #tell() {
    const { state } = this.session;
    const nowMs = performance.now();
    if (state === this.saidState && nowMs - this.saidAtMs < HEARD_EVERY_MS) return;
    const { cost_micro: cost, deposit_micro: deposit, energy_wh: wh } = this.session;
    const left = money(BigInt(deposit) - BigInt(cost));
    this.heard.textContent =
      state === "charging"
        ? t("js.charge.live.status", { energy: energy(wh), cost: money(cost), left })
        : this.#headline();
    this.saidState = state;
    this.saidAtMs = nowMs;
  }

  #answer(text) {
    if (this.answer.textContent !== text) this.answer.textContent = text;
  }

  #put(name, text) {
    const place = this.section.querySelector(`[data-live="${name}"]`);
    if (place.textContent !== text) place.textContent = text;
  }
}

/** Follows a session: `onSession` for each change, to its end. */
export function follow(sessionId, { onSession, onLost, onProblem }) {
  const source = new EventSource(`/v1/sessions/${sessionId}/events`);
  source.addEventListener("open", () => onLost(false));
  source.addEventListener("session", ({ data }) => {
    const session = JSON.parse(data);
    if (hasEnded(session)) source.close();
    onSession(session);
  });
  source.addEventListener("problem", ({ data }) => {
    source.close();
    onProblem(new ApiProblem(JSON.parse(data)));
  });
  source.addEventListener("error", () => {
    onLost(true);
    // A refused stream does not come back by itself, and does not say why it was refused.
    if (source.readyState === EventSource.CLOSED) onProblem(null);
  });
  return source;
}

/** Why a charge ended, in words. */
export function reasonOf(session) {
  const { reason } = session;
  if (!reason) return "";
  const slug = reason
    .toLowerCase()
    .replace(/[0-9]+/g, "n")
    .replace(/[^a-z]+/g, "_")
    .replace(/^_+|_+$/g, "");
  const key = `js.charge.reason.${slug}`;
  return t("js.charge.end.reason", { reason: has(key) ? t(key) : reason });
}

/** How a charge ended: a headline and what else is to be said. */
export function outcomeOf(session) {
  const { state, energy_wh: wh, paid_micro: paid, refunded_micro: refunded } = session;
  const facts = { energy: energy(wh), paid: money(paid), refunded: money(refunded) };
  const why = reasonOf(session);
  switch (state) {
    case "closed": {
      const key = BigInt(refunded) > 0n ? "js.charge.end.closed" : "js.charge.end.closed_all";
      const { refunded: _, ...others } = facts;
      const said = key.endsWith("all") ? t(key, others) : t(key, facts);
      return [said, `${t("js.charge.end.closed_says")} ${why}`];
    }
    case "cancelled":
      return [t("js.charge.end.cancelled", { refunded: money(refunded) }), why];
    case "reclaimed":
      return [t("js.charge.end.reclaimed", { refunded: money(refunded) }), why];
    default:
      return [t("js.charge.end.failed"), why];
  }
}

/** "1:05:09". */
function spanOf(seconds) {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return parts.map((part, place) => (place ? String(part).padStart(2, "0") : part)).join(":");
}

function agoOf(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 120) return t("js.charge.live.seconds", { n: seconds });
  return t("js.charge.live.minutes", { n: Math.floor(seconds / 60) });
}
