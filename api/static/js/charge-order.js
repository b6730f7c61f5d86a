// A driver's order: offered, reviewed, signed, and brought to the service until it is answered.

import { ApiProblem, get, send } from "./api.js";
import { communitySecondsAhead, market } from "./market.js";
import { reviewAndSign } from "./review.js";
import { askThrough, FundsMissing, Token } from "./token.js";
import { randomNonce, typed } from "./typed.js";
import { money, t } from "./words.js";

const VALID_S = 600; // So long an order can be opened, and a permit be used.
const TRIES = 3;
const AGAIN_MS = 2_000;
const FILLED_WITHIN_MS = 30_000;
const FILLED_POLL_MS = 400;
const KEPT = "wattledger.order.";

/** The charge that a driver has at a charger now; null if there is none. */
export async function runningSession(driver, pointId, connectorId) {
  const query = new URLSearchParams({ charge_point_id: pointId, live: "true" });
  const { items } = await get(`/v1/sessions?${query}`);
  const isMine = (each) => each.driver === driver && each.connector_id === connectorId;
  return items.find(isMine) ?? null;
}

/** Signs an order for a deposit: what the service is brought; null if the driver would rather not. */
export async function signOrder(connected, { connector, name, depositMicro, say }) {
  const { domains } = await market();
  const validUntil = String(await communitySecondsAhead(VALID_S));
  const order = {
    driver: connected.address,
    chargerId: connector.charger_id,
    depositMicro: depositMicro.toString(),
    tariff: connector.tariff,
    validUntil,
    nonce: randomNonce(),
  };
  const messages = [typed("ChargeOrder", domains.escrow, order)];
  const permit = await permitFor(connected, depositMicro, validUntil, say);
  if (permit !== null) messages.push(permit);
  say("");
  const deposit = money(depositMicro);
  const signatures = await reviewAndSign(connected, messages, {
    title: t("js.charge.review.title"),
    lead: t("js.charge.review.lead", { deposit, name }),
    notes: { chargerId: name, spender: t("js.sign.escrow") },
  });
  return signatures && { order, ...signedBody(signatures, validUntil) };
}

/** Signs an addition to a session's deposit, and brings it. */
export async function topUp(connected, session, { name, addMicro, say }) {
  const { domains } = await market();
  const deadline = String(await communitySecondsAhead(VALID_S));
  const message = {
    sessionId: session.session_id,
    addMicro: addMicro.toString(),
    nonce: randomNonce(),
  };
  const messages = [typed("TopUp", domains.escrow, message)];
  const permit = await permitFor(connected, addMicro, deadline, say);
  if (permit !== null) messages.push(permit);
  say("");
  const amount = money(addMicro);
  const signatures = await reviewAndSign(connected, messages, {
    title: t("js.charge.top_up.title"),
    lead: t("js.charge.top_up.lead", { amount }),
    notes: { sessionId: name, spender: t("js.sign.escrow") },
  });
  if (signatures === null) return null;
  const body = { top_up: message, ...signedBody(signatures, deadline) };
  return untilAnswered(`/v1/sessions/${session.session_id}/top-up`, body);
}

function signedBody([signature, permit], deadline) {
  return { signature, ...(permit && { permit: { deadline, signature: permit } }) };
}

/** The permit for an amount, if one is needed. A demo's wallet that holds too little is filled. */
async function permitFor(connected, amountMicro, deadline, say) {
  const { contracts, chain_id: chainId } = await market();
  const token = new Token(askThrough(connected.wallet), contracts.token);
  const wanted = {
    owner: connected.address,
    spender: contracts.escrow,
    amountMicro,
    deadline,
    chainId,
  };
  say(t("js.charge.preparing"));
  try {
    return await token.permit(wanted);
  } catch (problem) {
    if (!(problem instanceof FundsMissing) || !connected.wallet.isDemo) throw problem;
  }
  say(t("js.charge.filling"));
  await fill(token, connected.address, amountMicro);
  return token.permit(wanted);
}

async function fill(token, address, neededMicro) {
  await send("POST", "/v1/demo/tokens", { address });
  const until = performance.now() + FILLED_WITHIN_MS;
  while ((await token.balanceOf(address)) < neededMicro && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, FILLED_POLL_MS));
  }
}

/** Keeps a signed order until it was answered: sent again, it stays one order and one deposit. */
export function keepOrder(chargerKey, body) {
  sessionStorage.setItem(KEPT + chargerKey, JSON.stringify(body));
}

/** The order that was not answered yet; null if there is none. */
export function keptOrder(chargerKey) {
  return JSON.parse(sessionStorage.getItem(KEPT + chargerKey));
}

/** Brings an order; it is forgotten only when the service has said yes or no. */
export async function bringOrder(chargerKey, body) {
  try {
    const session = await untilAnswered("/v1/sessions", body);
    sessionStorage.removeItem(KEPT + chargerKey);
    return session;
  } catch (problem) {
    if (!isUnanswered(problem)) sessionStorage.removeItem(KEPT + chargerKey);
    throw problem;
  }
}

/** Whether nobody can know yet what became of a request. */
export function isUnanswered(problem) {
  const { status } = problem;
  return problem instanceof ApiProblem && (status === 0 || status === 429 || status >= 500);
}

async function untilAnswered(path, body) {
  for (let left = TRIES - 1; ; left -= 1) {
    try {
      return await send("POST", path, body);
    } catch (problem) {
      if (left === 0 || !isUnanswered(problem)) throw problem;
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}
