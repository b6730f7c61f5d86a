// Four ticks for a statement: rows, amount, leaf and proof, root on the chain (DESIGN §1).
//
// Everything is computed here, in the reader's own browser; the service that made the file is only
// asked what the chain says, and any other node can be asked instead.

import { ChainUnavailable, deltasRootOf, laneOf } from "./chain-reader.js";
import { hexOf, keccak256, octetsOf } from "./octets.js";
import {
  amountOf,
  commitmentOf,
  deltaOf,
  leafOf,
  pathOf,
  pricesHash,
  PRICES,
  rowsHash,
  totalsHash,
  windowsHash,
  wordOctets,
} from "./statement.js";
import { alteredInLeaf, alteredTotal } from "./trace.js";

const FIRST_MEMBER = 2n;
const FIELDS_OF_PARTS = ["run", "cutoff_at_s", "statements_root"];

/**
 * All checks of one statement: `{ticks, passed, first}`, `first` being the first that differs.
 *
 * `chain` is `{reader, market, runs}`: whom to ask; the market that should be named, if it is known;
 * the transactions of earlier runs, as a hint where to look. Without it the last tick stays open.
 */
export async function verify(statement, chain = null) {
  const altered = leafOf(statement) === statement.leaf ? null : alteredInLeaf(statement);
  const onChain = await chainTick(statement, chain);
  const ticks = [
    rowsTick(statement, altered),
    amountTick(statement, altered),
    leafTick(statement, altered, onChain),
    onChain,
  ];
  const failed = ticks.flatMap((tick) => tick.checks).filter((check) => !check.passed);
  // What names a single number says more than a sum or a hash that does not fit because of it.
  const first = failed.find((check) => check.isCause) ?? failed[0] ?? null;
  return { ticks, first, passed: ticks.every((tick) => tick.state === "good") };
}

function rowsTick(statement, altered) {
  const checks = [];
  if (altered?.field.startsWith("rows")) checks.push(cause(altered, "leaf"));
  statement.rows.forEach((row, place) => {
    const rule = brokenBy(row, statement.account);
    if (rule !== null) checks.push({ field: `rows[${place}]`, passed: false, rule });
  });
  const tick = tickOf("rows", checks);
  return { ...tick, rows_hash: rowsHash(statement.rows), windows: statement.rows.length };
}

function brokenBy(row, account) {
  if (row.bought_wh > row.import_wh || row.sold_wh > row.export_wh) return "trades_more";
  if (row.uncovered && row.bought_wh > 0n) return "uncovered_bought";
  const isEmpty = !(row.import_wh || row.export_wh || row.estimated || row.uncovered);
  return account < FIRST_MEMBER && !isEmpty ? "no_flows" : null;
}

function amountTick(statement, altered) {
  const amount_nano = amountOf(statement);
  const checks = [equal("amount_nano", statement.amount_nano, amount_nano, "rows_and_prices")];
  if (altered?.field === "amount_nano") checks[0].isCause = true;
  return { ...tickOf("amount", checks), amount_nano };
}

function leafTick(statement, altered, onChain) {
  const leaf = leafOf(statement);
  const path = pathOf(statement.leaf, statement.proof);
  const checks = [equal("leaf", statement.leaf, leaf, "rows_and_amount")];
  if (["leaf", "account", "run"].includes(altered?.field)) checks.unshift(cause(altered, "leaf"));
  if (leaf !== statement.leaf && altered === null) {
    // Not one number of the rows or the amount explains it.
    checks.unshift({ field: "salt", passed: false, rule: "other_leaf" });
  }
  const root = equal("statements_root", statement.statements_root, path.at(-1), "leaf_and_proof");
  // Where the chain has the file's root, it is the way to it that is wrong.
  const isProof = !root.passed && onChain.state === "good";
  checks.push(isProof ? { ...root, field: "proof" } : root);
  return { ...tickOf("leaf", checks), leaf, path, rows_hash: rowsHash(statement.rows) };
}

/* The chain */

async function chainTick(statement, chain) {
  if (chain === null) return { name: "chain", state: "open", checks: [], problem: null };
  try {
    return await comparedWith(statement, chain);
  } catch (error) {
    if (!(error instanceof ChainUnavailable)) throw error;
    return { name: "chain", state: "open", checks: [], problem: error.message };
  }
}

async function comparedWith(statement, { reader, market, runs }) {
  const inputs = {
    block: await reader.blockNumber(),
    windows_hash: windowsHash(statement),
    computed: commitmentOf(statement),
    delta_nano: deltaOf(statement),
  };
  const checks = [onChain("chain_id", statement.chain_id, await reader.chainId())];
  if (market) checks.push(onChain("market", statement.market, market.toLowerCase()));
  if (!checks.every((check) => check.passed) || !(await reader.hasCode())) {
    if (checks.every((check) => check.passed)) {
      checks.push({ field: "market", passed: false, rule: "no_contract" });
    }
    return { ...tickOf("chain", checks), ...inputs };
  }
  const config = await reader.config();
  const windows = BigInt(statement.rows.length);
  checks.push(
    named(onChain("window_s", statement.window_s, config.window_s)),
    named(onChain("rows", windows, config.period_windows)),
    named(onChain("residual", statement.residual, config.residual)),
  );
  const { period_start_s, run, transaction } = statement;
  inputs.stored = await reader.commitment(period_start_s, run);
  const settled = await reader.settlement(transaction, period_start_s, run);
  inputs.settled = settled;
  if (settled === null) {
    checks.push({ field: "transaction", passed: false, rule: "does_not_apply" });
  }
  if (inputs.stored !== inputs.computed) {
    checks.push(...(await partsOf(statement, reader, settled, runs)));
  }
  checks.push(onChain("commitment", inputs.computed, inputs.stored ?? "0x0"));
  const applied_nano = await appliedBefore(statement, reader, runs);
  if (applied_nano !== null) {
    checks.push(named(onChain("applied_before_nano", statement.applied_before_nano, applied_nano)));
  }
  if (settled !== null) checks.push(...laneChecks(statement, settled, inputs, applied_nano));
  checks.push(...(await meterChecks(statement, reader, config)));
  return { ...tickOf("chain", checks), ...inputs };
}

/** Which part of a commitment is not the chain's, number by number. */
async function partsOf(statement, reader, settled, runs) {
  if (settled === null) return [];
  const checks = FIELDS_OF_PARTS.map((name) => onChain(name, statement[name], settled[name]));
  checks.push(onChain("deltas_root", statement.deltas_root, deltasRootOf(settled.deltas)));
  const published = settled.prices ? settled : await publishedBy(statement, reader, runs);
  const words = published?.prices ?? [];
  words.slice(0, statement.prices.length).forEach((word, place) => {
    for (const [name, found] of Object.entries(priceOf(word))) {
      const stated = statement.prices[place][name];
      checks.push(onChain(`prices[${place}].${name}`, stated, found));
    }
  });
  const differ = checks.filter((check) => !check.passed);
  differ.forEach((check) => (check.isCause = true));
  if (differ.length > 0) return differ;
  return totalsChecks(statement, settled);
}

function totalsChecks(statement, settled) {
  const found = settled.windows_hash ?? windowsHashWith(statement, settled.totals_hash);
  if (windowsHash(statement) === found) return [];
  const altered = alteredTotal(statement, found);
  if (altered !== null) return [cause(altered, "chain")];
  return [{ field: "totals, totals_salt", passed: false, rule: "other_hash", isCause: true }];
}

async function publishedBy(statement, reader, runs) {
  const hint = (runs ?? []).find((each) => BigInt(each.run) === statement.run)?.transactions.propose;
  if (!hint) return null;
  const published = await reader.published(hint);
  const isIt =
    published?.prices !== undefined &&
    published.period_start_s === statement.period_start_s &&
    published.run === statement.run;
  return isIt ? published : null;
}

function laneChecks(statement, settled, inputs, applied_nano) {
  const lane_nano = laneOf(settled.deltas, statement.account);
  inputs.lane_nano = lane_nano;
  if (lane_nano === null) return [{ field: "account", passed: false, rule: "not_settled" }];
  const field = "amount_nano − applied_before_nano + shortfall_nano";
  const checks = [onChain(field, inputs.delta_nano, lane_nano)];
  const { amount_nano, applied_before_nano, shortfall_nano, leaf } = statement;
  if (applied_before_nano === applied_nano && leafOf(statement) === leaf) {
    // The leaf has the amount and the chain what was applied: what is left is the shortfall.
    const found = lane_nano - amount_nano + applied_nano;
    checks.unshift(named(onChain("shortfall_nano", shortfall_nano, found)));
  }
  return checks;
}

/** What earlier runs of the period moved on the account; null where nobody says where to look. */
async function appliedBefore(statement, reader, runs) {
  let applied_nano = 0n;
  for (let run = 0n; run < statement.run; run += 1n) {
    const hint = (runs ?? []).find((each) => BigInt(each.run) === run)?.transactions.finalize;
    const settled = hint ? await reader.settlement(hint, statement.period_start_s, run) : null;
    if (settled === null) return null; // What is checked then is the sum with the shortfall.
    applied_nano += laneOf(settled.deltas, statement.account) ?? 0n;
  }
  return applied_nano;
}

async function meterChecks(statement, reader, config) {
  const checks = [];
  const end_s = statement.period_start_s + BigInt(statement.rows.length) * statement.window_s;
  for (const [place, meter] of (statement.meters ?? []).entries()) {
    const terms = (await reader.termsOf(config.registry, meter.meter_id)).filter(
      (term) =>
        term.account === statement.account &&
        term.validFrom < end_s &&
        term.validUntil > statement.period_start_s,
    );
    if (terms.length === 0) {
      checks.push({ field: `meters[${place}].meter_id`, passed: false, rule: "not_its_meter" });
    } else {
      const classes = terms.map((term) => term.class);
      const found = classes.includes(meter.class) ? meter.class : classes[0];
      checks.push(onChain(`meters[${place}].class`, meter.class, found));
    }
  }
  return checks;
}

/* Parts */

function tickOf(name, checks) {
  return { name, checks, state: checks.every((check) => check.passed) ? "good" : "bad" };
}

/** Whether the file says what something else gives. */
function equal(field, stated, found, source) {
  return { field, stated, found, source, passed: stated === found };
}

function onChain(field, stated, found) {
  return equal(field, stated, found, "chain");
}

/** A check that names the one number that is to blame where it fails. */
function named(check) {
  return { ...check, isCause: true };
}

function cause({ field, stated, found }, source) {
  return { field, stated, found, source, passed: false, isCause: true };
}

function priceOf(word) {
  const mask = 2n ** 32n - 1n;
  const parts = [word >> 96n, (word >> 64n) & mask, (word >> 32n) & mask, word & mask];
  return Object.fromEntries(PRICES.map((name, place) => [name, parts[place]]));
}

function windowsHashWith(statement, totals_hash) {
  const octets = octetsOf(pricesHash(statement.prices) + totals_hash.slice(2));
  return hexOf(keccak256(octets));
}
