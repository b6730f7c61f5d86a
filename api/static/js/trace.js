// Which number of a statement was altered: the one with which everything else agrees again.
//
// A hash does not say what is wrong with what it was made of. But a leaf that the chain vouches for
// singles out the one number that gives it, and the amount says how far off that number is.

import { concat, hexOf, keccak256, octetsOf } from "./octets.js";
import {
  amountOf,
  leafOf,
  leafWords,
  pathOf,
  pricesHash,
  ROW_ENERGIES,
  rowsHash,
  rowWord,
  TOTALS,
  totalWords,
  wordOctets,
} from "./statement.js";

const ACCOUNTS_TRIED = 8_192n; // As many as a market can have.
const RUNS_TRIED = 32n;
const ROWS_HASH_PLACE = 3; // Among the words of a leaf.
const PATIENCE_MS = 3_000;
const DIGITS = [..."0123456789"];

/** The number because of which a leaf does not fit: `{field, stated, found}`; null if none does. */
export function alteredInLeaf(statement) {
  const computed = leafOf(statement);
  if (pathOf(computed, statement.proof).at(-1) === statement.statements_root) {
    return { field: "leaf", stated: statement.leaf, found: computed };
  }
  const amount_nano = amountOf(statement);
  if (leafOf({ ...statement, amount_nano }) === statement.leaf) {
    return { field: "amount_nano", stated: statement.amount_nano, found: amount_nano };
  }
  return alteredRow(statement, amount_nano) ?? alteredName(statement);
}

function alteredRow(statement, amount_nano) {
  const gives = leafWithRow(statement);
  const off_nano = statement.amount_nano - amount_nano;
  for (const [place, row] of statement.rows.entries()) {
    for (const name of ["estimated", "uncovered"]) {
      const other = { ...row, [name]: !row[name] };
      if (gives(place, other)) return difference(`rows[${place}].${name}`, row[name], other[name]);
    }
    for (const name of ROW_ENERGIES) {
      for (const value of valuesFor(statement, place, name, off_nano)) {
        if (gives(place, { ...row, [name]: value })) {
          return difference(`rows[${place}].${name}`, row[name], value);
        }
      }
    }
  }
  return null;
}

/** What a row's energy can have been, if it alone is to blame for how far off the amount is. */
function valuesFor(statement, place, name, off_nano) {
  const row = statement.rows[place];
  const one = { ...statement, rows: [{ ...row, [name]: row[name] + 1n }] };
  const own = { ...statement, rows: [row] };
  for (const each of [one, own]) {
    each.prices = [statement.prices[place]];
    each.totals = [statement.totals[place]];
  }
  const per_wh = amountOf(one) - amountOf(own);
  if (per_wh === 0n) return off_nano === 0n ? withOneDigitChanged(row[name]) : [];
  const value = row[name] + off_nano / per_wh;
  return off_nano !== 0n && off_nano % per_wh === 0n && value >= 0n ? [value] : [];
}

function alteredName(statement) {
  const rows = rowsHash(statement.rows);
  const gives = leafWithWord(statement, rows);
  for (let account = 0n; account < ACCOUNTS_TRIED; account += 1n) {
    if (gives(0, account)) return difference("account", statement.account, account);
  }
  for (let run = 0n; run < RUNS_TRIED; run += 1n) {
    if (gives(2, run)) return difference("run", statement.run, run);
  }
  return null;
}

/** Whether another small number in one of a leaf's six words gives the leaf that the file states. */
function leafWithWord(statement, rows) {
  const encoded = leafWords(statement, rows);
  const leaf = octetsOf(statement.leaf);
  return (place, number) => {
    const changed = encoded.slice();
    new DataView(changed.buffer).setUint32(32 * place + 28, Number(number));
    return isSame(keccak256(keccak256(changed)), leaf);
  };
}

/**
 * The total because of which the windows' hash is not the chain's.
 *
 * Null if no single digit explains it, or none was found while a reader may be kept waiting.
 */
export function alteredTotal(statement, windows_hash, patience_ms = PATIENCE_MS) {
  const ends_at = performance.now() + patience_ms;
  const prices = octetsOf(pricesHash(statement.prices));
  const wanted = octetsOf(windows_hash);
  const octets = concat(
    ...statement.totals.flatMap(totalWords).map(wordOctets),
    octetsOf(statement.totals_salt),
  );
  // The six totals of a window lie one behind the other, eight bytes each: many are tried.
  const view = new DataView(octets.buffer);
  for (const [place, total] of statement.totals.entries()) {
    if (performance.now() > ends_at) return null;
    for (const [number, name] of TOTALS.entries()) {
      const at = 64 * place + 16 + 8 * number;
      for (const value of withOneDigitChanged(total[name])) {
        view.setBigUint64(at, value);
        if (isSame(keccak256(concat(prices, keccak256(octets))), wanted)) {
          return difference(`totals[${place}].${name}`, total[name], value);
        }
      }
      view.setBigUint64(at, total[name]);
    }
  }
  return null;
}

function isSame(one, other) {
  return one.every((octet, place) => octet === other[place]);
}

/** Whether another row in one place gives the leaf that the file states. */
function leafWithRow(statement) {
  const rows = concat(...statement.rows.map((row) => wordOctets(rowWord(row))));
  const encoded = leafWords(statement, rowsHash(statement.rows));
  return (place, row) => {
    const octets = rows.slice();
    octets.set(wordOctets(rowWord(row)), 32 * place);
    encoded.set(keccak256(octets), 32 * ROWS_HASH_PLACE);
    return hexOf(keccak256(keccak256(encoded))) === statement.leaf;
  };
}

function withOneDigitChanged(number) {
  const text = number.toString();
  const values = new Set();
  for (let place = 0; place < text.length; place += 1) {
    for (const digit of DIGITS) values.add(BigInt(text.slice(0, place) + digit + text.slice(place + 1)));
  }
  values.delete(number);
  return values;
}

function difference(field, stated, found) {
  return { field, stated, found };
}
