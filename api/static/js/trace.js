// Which number of a statement was altered: the one with which everything else agrees again.
//
// A hash does not say what is wrong with what it was made of. But a leaf that the chain vouches for
// singles out the one number that gives it, and the amount says how far off that number is.

import { concat, hexOf, keccak256, octetsOf } from "./octets.js";
import {
  amountOf,
  leafOf,
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
  for (let account = 0n; account < ACCOUNTS_TRIED; account += 1n) {
    if (leafOf({ ...statement, account }, rows) === statement.leaf) {
      return difference("account", statement.account, account);
    }
  }
  for (let run = 0n; run < RUNS_TRIED; run += 1n) {
    if (leafOf({ ...statement, run }, rows) === statement.leaf) {
      return difference("run", statement.run, run);
    }
  }
  return null;
}

/** The total because of which the windows' hash is not the chain's; null if no digit explains it. */
export function alteredTotal(statement, windows_hash) {
  const prices = octetsOf(pricesHash(statement.prices));
  const octets = concat(
    ...statement.totals.flatMap(totalWords).map(wordOctets),
    octetsOf(statement.totals_salt),
  );
  for (const [place, total] of statement.totals.entries()) {
    for (const name of TOTALS) {
      for (const value of withOneDigitChanged(total[name])) {
        const words = totalWords({ ...total, [name]: value });
        octets.set(concat(...words.map(wordOctets)), 64 * place);
        if (hexOf(keccak256(concat(prices, keccak256(octets)))) === windows_hash) {
          return difference(`totals[${place}].${name}`, total[name], value);
        }
      }
    }
    octets.set(concat(...totalWords(total).map(wordOctets)), 64 * place);
  }
  return null;
}

/** Whether another row in one place gives the leaf that the file states. */
function leafWithRow(statement) {
  const rows = concat(...statement.rows.map((row) => wordOctets(rowWord(row))));
  const head = concat(...["account", "period_start_s", "run"].map((each) => wordOctets(statement[each])));
  const tail = concat(wordOctets(statement.amount_nano), octetsOf(statement.salt));
  return (place, row) => {
    const octets = rows.slice();
    octets.set(wordOctets(rowWord(row)), 32 * place);
    return hexOf(keccak256(keccak256(concat(head, keccak256(octets), tail)))) === statement.leaf;
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
