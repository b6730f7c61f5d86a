// A receipt, checked in the driver's own browser: who signed what, the sum, and what the chain did.

import { get } from "./api.js";
import { overHttp, overWallet } from "./chain-reader.js";
import { el } from "./dom.js";
import { digestHex } from "./eip712.js";
import { recover } from "./keys.js";
import { market } from "./market.js";
import { hexOf, keccak256, octetsOf, utf8 } from "./octets.js";
import { typed } from "./typed.js";
import { walletInUse } from "./wallet.js";
import { t } from "./words.js";

const MS_PER_HOUR = 3_600_000n;
const CLOSED = "SessionClosed(bytes32,bytes32,uint64,uint64,uint64,uint64,bytes32)";
const WORD = 64;

/** What is found of a session's receipt, as four ticks. */
export async function checkedReceipt(sessionId) {
  const { chain_id: chainId, contracts, rpc } = await market();
  const receipt = await get(`/v1/sessions/${sessionId}/receipt?format=json`);
  const ask = rpc === null ? overWallet((await walletInUse(chainId)).wallet.provider) : overHttp(rpc);
  return shown(await checkReceipt(receipt, { chainId, escrow: contracts.escrow }, ask));
}

/**
 * Four ticks: `{name, wrong}`, `wrong` being the first field that differs, or null.
 *
 * `ours` is the community's own chain and escrow: a forger would name an escrow of their own.
 */
export async function checkReceipt(receipt, ours, ask) {
  if (receipt.chain_id !== ours.chainId) return [{ name: "chain", wrong: "chain_id" }];
  if (!sameHex(receipt.escrow, ours.escrow)) return [{ name: "chain", wrong: "escrow" }];
  return [
    { name: "order", wrong: orderProblem(receipt) },
    { name: "record", wrong: recordProblem(receipt) },
    { name: "cost", wrong: costProblem(receipt) },
    { name: "chain", wrong: await chainProblem(receipt, ask) },
  ];
}

function domainOf({ chain_id: chainId, escrow }) {
  return { name: "Wattledger", version: "1", chainId, verifyingContract: escrow };
}

function orderProblem(receipt) {
  const { order, order_signature: signature } = receipt;
  const digest = digestHex(typed("ChargeOrder", domainOf(receipt), order));
  if (!sameHex(digest, receipt.session_id)) return "session_id";
  return isSignedBy(digest, signature, order.driver) ? null : "order_signature";
}

function recordProblem(receipt) {
  const { record, record_signature: signature, record_key: key, evidence } = receipt;
  if (!sameHex(record.sessionId, receipt.session_id)) return "record.sessionId";
  const digest = digestHex(typed("ChargeRecord", domainOf(receipt), record));
  if (!isSignedBy(digest, signature, key)) return "record_signature";
  const isTied = evidence === null || evidence.kind === "none";
  const hash = isTied ? null : hexOf(keccak256(utf8(evidence.data)));
  return hash === null || sameHex(hash, record.evidenceHash) ? null : "evidence.data";
}

function isSignedBy(digest, signature, address) {
  // A contract wallet's signature is judged by its contract, which the escrow has asked.
  if (octetsOf(signature).length !== 65) return true;
  return sameHex(recover(octetsOf(digest), signature) ?? "", address);
}

function sameHex(one, other) {
  return one.toLowerCase() === other.toLowerCase();
}

/** The contract's own formula, rounded once, down, and never more than the deposit. */
export function costMicroDown(tariff, energyWh, timeS, idleS) {
  const byEnergy = energyWh * BigInt(tariff.energyPerKwh) * 3600n;
  const byTime = timeS * BigInt(tariff.timePerHour) + idleS * BigInt(tariff.idlePerHour);
  return BigInt(tariff.startFee) + (byEnergy + byTime * 1000n) / MS_PER_HOUR;
}

function costProblem(receipt) {
  const { order, record } = receipt;
  const energyWh = BigInt(record.stopWh) - BigInt(record.startWh);
  const idleS = BigInt(record.idleS);
  const timeS = BigInt(record.stoppedAt) - BigInt(record.startedAt) - idleS;
  const deposit = BigInt(receipt.deposit_micro);
  const cost = costMicroDown(order.tariff, energyWh, timeS, idleS);
  const paid = cost < deposit ? cost : deposit;
  if (energyWh !== BigInt(receipt.energy_wh)) return "energy_wh";
  if (timeS !== BigInt(receipt.time_s) || idleS !== BigInt(receipt.idle_s)) return "time_s";
  if (paid !== BigInt(receipt.paid_micro)) return "paid_micro";
  return deposit - paid === BigInt(receipt.refunded_micro) ? null : "refunded_micro";
}

/** Whether the closing transaction says of this session what the receipt says. */
async function chainProblem(receipt, ask) {
  const { record } = receipt;
  const mined = await ask("eth_getTransactionReceipt", [receipt.transactions.close]);
  if (mined === null || BigInt(mined.status) !== 1n) return "transactions.close";
  const topic = hexOf(keccak256(utf8(CLOSED)));
  const said = mined.logs.find(
    (log) =>
      sameHex(log.address, receipt.escrow) &&
      sameHex(log.topics[0], topic) &&
      sameHex(log.topics[1], receipt.session_id),
  );
  if (said === undefined) return "transactions.close";
  const words = said.data.slice(2).match(new RegExp(`.{${WORD}}`, "g")) ?? [];
  const stated = [
    ["record.startWh", record.startWh],
    ["record.stopWh", record.stopWh],
    ["paid_micro", receipt.paid_micro],
    ["refunded_micro", receipt.refunded_micro],
    ["record.evidenceHash", record.evidenceHash],
  ];
  const differs = stated.find(([, value], at) => BigInt(`0x${words[at]}`) !== BigInt(value));
  return differs === undefined ? null : differs[0];
}

/** Ticks as an element. */
export function shown(ticks) {
  const bad = ticks.find((tick) => tick.wrong !== null);
  const words = bad ? t("js.charge.check.bad", { field: bad.wrong }) : t("js.charge.check.good");
  const items = ticks.map(({ name, wrong }) => {
    const mark = wrong === null ? "✓" : "✗";
    return el(
      "li",
      { "data-tick": name, "data-passed": String(wrong === null) },
      el("span", { "aria-hidden": "true" }, `${mark} `),
      t(`js.charge.check.${name}`),
      wrong === null ? null : el("code", {}, ` ${wrong}`),
    );
  });
  return el(
    "div",
    { class: `notice ${bad ? "is-bad" : "is-good"}` },
    el("p", {}, words),
    el("ul", { class: "ticks" }, ...items),
  );
}
