// A statement file (`wattledger.statement/1`): read strictly, and everything that is computed from it.
//
// Names are the file's own. Whole numbers are BigInt: no digit is lost, no sum is rounded.

import { parseExact } from "./exact-json.js";
import { concat, hexOf, keccak256, octetsOf } from "./octets.js";

const FORMAT = "wattledger.statement/1";
const ENERGY_WH_MAX = 10n ** 8n;
const PRICE_PER_KWH_MAX = 10n ** 8n;
const UINT32_MAX = 2n ** 32n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;
const AMOUNT_NANO_MAX = 2n ** 63n - 1n;
const PERIOD_WINDOWS_MAX = 96;
const INSTANT_S_MAX = 253_402_300_799n; // The end of the year 9999.
const WORD_MODULUS = 2n ** 256n;
const SUPPLIER = 0n;
const GRID_OPERATOR = 1n;

export const ROW_ENERGIES = ["import_wh", "export_wh", "bought_wh", "sold_wh"];
export const PRICES = [
  "local_per_kwh",
  "local_fee_per_kwh",
  "grid_import_per_kwh",
  "grid_export_per_kwh",
];
export const TOTALS = [
  "import_wh",
  "export_wh",
  "traded_wh",
  "uncovered_import_wh",
  "eligible_import_wh",
  "eligible_export_wh",
];

/** A file that does not have the form that it must have. */
export class BadStatement extends Error {
  constructor(field, rule) {
    super(`${field} ${rule}`);
    this.field = field;
    this.rule = rule;
  }
}

/** Reads the text of a statement file. */
export function readStatement(text) {
  return statementOf(parseExact(text));
}

/** Reads a statement file's object, as `parseExact` gives it. */
export function statementOf(document) {
  const top = new Fields(document, "");
  if (top.take("format", string) !== FORMAT) throw new BadStatement("format", `must be ${FORMAT}`);
  const statement = {
    chain_id: top.take("chain_id", whole(1n, WORD_MODULUS - 1n)),
    market: top.take("market", octets(20)).toLowerCase(),
    account: top.take("account", whole(0n, UINT32_MAX)),
    period_start_s: top.take("period_start", instant),
    run: top.take("run", whole(0n, UINT32_MAX)),
    window_s: top.take("window_s", whole(1n, 86_400n)),
    residual: top.take("residual", choice(["settled", "external"])),
    meters: top.has("meters") ? top.take("meters", listed(meter)) : null,
    rows: top.take("rows", listed(row)),
    prices: top.take("prices", listed(numbers(PRICES, PRICE_PER_KWH_MAX))),
    totals: top.take("totals", listed(numbers(TOTALS, UINT64_MAX))),
    totals_salt: top.take("totals_salt", octets(32)),
    amount_nano: top.take("amount_nano", amount),
    applied_before_nano: top.take("applied_before_nano", amount),
    shortfall_nano: top.take("shortfall_nano", amount),
    salt: top.take("salt", octets(32)),
    leaf: top.take("leaf", octets(32)).toLowerCase(),
    proof: top.take("proof", listed(octets(32))),
    statements_root: top.take("statements_root", octets(32)).toLowerCase(),
    deltas_root: top.take("deltas_root", octets(32)).toLowerCase(),
    cutoff_at_s: top.take("cutoff_at", instant),
    transaction: top.take("transaction", octets(32)).toLowerCase(),
  };
  top.done();
  requireWhole(statement);
  return statement;
}

function requireWhole(statement) {
  const windows = statement.rows.length;
  if (windows < 1 || windows > PERIOD_WINDOWS_MAX) {
    throw new BadStatement("rows", `must have one entry a window, 1 to ${PERIOD_WINDOWS_MAX}`);
  }
  for (const name of ["prices", "totals"]) {
    if (statement[name].length !== windows) {
      throw new BadStatement(name, `must have as many entries as rows: ${windows}`);
    }
  }
  statement.rows.forEach((each, place) => {
    const expected = statement.period_start_s + BigInt(place) * statement.window_s;
    if (each.start_s !== expected) {
      throw new BadStatement(`rows[${place}].start`, `must be ${instantText(expected)}`);
    }
  });
}

/* Words and hashes (INTERFACES §5) */

/** `flags<<248 | import<<192 | export<<128 | bought<<64 | sold`; flag 1 estimated, 2 uncovered. */
export function rowWord(each) {
  const flags = (each.estimated ? 1n : 0n) | (each.uncovered ? 2n : 0n);
  const lanes = (each.import_wh << 192n) | (each.export_wh << 128n) | (each.bought_wh << 64n);
  return (flags << 248n) | lanes | each.sold_wh;
}

/** `local<<96 | fee<<64 | gridImport<<32 | gridExport`. */
export function priceWord(price) {
  const local = (price.local_per_kwh << 96n) | (price.local_fee_per_kwh << 64n);
  return local | (price.grid_import_per_kwh << 32n) | price.grid_export_per_kwh;
}

/** `import<<64 | export` and `traded<<192 | uncovered<<128 | eligibleImport<<64 | eligibleExport`. */
export function totalWords(total) {
  const traded = (total.traded_wh << 192n) | (total.uncovered_import_wh << 128n);
  return [
    (total.import_wh << 64n) | total.export_wh,
    traded | (total.eligible_import_wh << 64n) | total.eligible_export_wh,
  ];
}

/** A number as 32 bytes; negative ones as the contract has them. */
export function wordOctets(number) {
  const unsigned = ((number % WORD_MODULUS) + WORD_MODULUS) % WORD_MODULUS;
  return octetsOf(`0x${unsigned.toString(16).padStart(64, "0")}`);
}

export function rowsHash(rows) {
  return hashOf(...rows.map((each) => wordOctets(rowWord(each))));
}

export function pricesHash(prices) {
  return hashOf(...prices.map((each) => wordOctets(priceWord(each))));
}

export function totalsHash(totals, salt) {
  return hashOf(...totals.flatMap(totalWords).map(wordOctets), octetsOf(salt));
}

export function windowsHash(statement) {
  const totals = totalsHash(statement.totals, statement.totals_salt);
  return hashOf(octetsOf(pricesHash(statement.prices)), octetsOf(totals));
}

/** The six words of a leaf: `(uint32, uint64, uint32, bytes32, int64, bytes32)`. */
export function leafWords(statement, rows = rowsHash(statement.rows)) {
  return concat(
    wordOctets(statement.account),
    wordOctets(statement.period_start_s),
    wordOctets(statement.run),
    octetsOf(rows),
    wordOctets(statement.amount_nano),
    octetsOf(statement.salt),
  );
}

/** The leaf of the OpenZeppelin standard tree. */
export function leafOf(statement) {
  return hexOf(keccak256(keccak256(leafWords(statement))));
}

/** Every node on the way from a leaf to the root: pairs are hashed in sorted order. */
export function pathOf(leaf, proof) {
  const nodes = [leaf];
  for (const sibling of proof) {
    const pair = [nodes.at(-1), sibling.toLowerCase()].sort();
    nodes.push(hashOf(...pair.map(octetsOf)));
  }
  return nodes;
}

/** What the contract stores: `keccak256(abi.encode(statementsRoot, windowsHash, deltasRoot, run, cutoffAt))`. */
export function commitmentOf(statement, windows = windowsHash(statement)) {
  return hashOf(
    octetsOf(statement.statements_root),
    octetsOf(windows),
    octetsOf(statement.deltas_root),
    wordOctets(statement.run),
    wordOctets(statement.cutoff_at_s),
  );
}

/** What this run moves on the account. */
export function deltaOf(statement) {
  return statement.amount_nano - statement.applied_before_nano + statement.shortfall_nano;
}

/* The amount */

/** Per window, the products that make up the account's amount: `{factor, energy_wh, per_kwh}`. */
export function termsOf(statement) {
  return statement.rows.map((each, place) =>
    termsOfWindow(statement, each, statement.prices[place], statement.totals[place]),
  );
}

/** What terms add up to. */
export function sumOf(terms) {
  return terms.reduce((sum, term) => sum + term.sign * term.energy_wh * term.per_kwh, 0n);
}

/** The amount that rows, totals and prices give, by the account's own formula. */
export function amountOf(statement) {
  return termsOf(statement).reduce((sum, terms) => sum + sumOf(terms), 0n);
}

function termsOfWindow({ account, residual }, each, price, total) {
  const isSettled = residual === "settled";
  if (account === SUPPLIER) return isSettled ? supplierTerms(price, total) : [];
  if (account === GRID_OPERATOR) {
    return [{ name: "fees", sign: 1n, energy_wh: total.traded_wh, per_kwh: price.local_fee_per_kwh }];
  }
  const pays = price.local_per_kwh + price.local_fee_per_kwh;
  const terms = [
    { name: "sold", sign: 1n, energy_wh: each.sold_wh, per_kwh: price.local_per_kwh },
    { name: "bought", sign: -1n, energy_wh: each.bought_wh, per_kwh: pays },
  ];
  if (isSettled && !each.uncovered) {
    const energy_wh = each.import_wh - each.bought_wh;
    terms.push({ name: "from_grid", sign: -1n, energy_wh, per_kwh: price.grid_import_per_kwh });
  }
  if (isSettled) {
    const energy_wh = each.export_wh - each.sold_wh;
    terms.push({ name: "to_grid", sign: 1n, energy_wh, per_kwh: price.grid_export_per_kwh });
  }
  return terms;
}

function supplierTerms(price, total) {
  const sold_wh = total.import_wh - total.uncovered_import_wh - total.traded_wh;
  const bought_wh = total.export_wh - total.traded_wh;
  return [
    { name: "to_members", sign: 1n, energy_wh: sold_wh, per_kwh: price.grid_import_per_kwh },
    { name: "from_members", sign: -1n, energy_wh: bought_wh, per_kwh: price.grid_export_per_kwh },
  ];
}

/* Reading */

/** One object whose fields are taken by name, each exactly once. */
class Fields {
  constructor(document, path) {
    if (document === null || typeof document !== "object" || Array.isArray(document)) {
      throw new BadStatement(path || "file", "must be a JSON object");
    }
    this.left = new Map(Object.entries(document));
    this.path = path;
  }

  has(name) {
    return this.left.has(name);
  }

  take(name, read) {
    const path = this.#pathOf(name);
    if (!this.left.has(name)) throw new BadStatement(path, "is missing");
    const value = this.left.get(name);
    this.left.delete(name);
    return read(value, path);
  }

  done() {
    for (const name of this.left.keys()) {
      throw new BadStatement(this.#pathOf(name), "is not a field of this format");
    }
  }

  #pathOf(name) {
    return this.path ? `${this.path}.${name}` : name;
  }
}

/** Unix seconds as the file spells them. */
export function instantText(seconds) {
  return new Date(Number(seconds) * 1000).toISOString().replace(".000Z", "Z");
}

function whole(least, most) {
  return (value, path) => {
    if (typeof value !== "bigint") throw new BadStatement(path, "must be a whole number");
    if (value < least || value > most) {
      throw new BadStatement(path, `must be between ${least} and ${most}`);
    }
    return value;
  };
}

function amount(value, path) {
  const found = string(value, path);
  const isWhole = /^(0|-?[1-9]\d{0,18})$/.test(found);
  if (!isWhole || BigInt(found) > AMOUNT_NANO_MAX || BigInt(found) < -AMOUNT_NANO_MAX) {
    throw new BadStatement(path, "must be a decimal string of a 64-bit integer");
  }
  return BigInt(found);
}

function string(value, path) {
  if (typeof value !== "string") throw new BadStatement(path, "must be a string");
  return value;
}

function flag(value, path) {
  if (typeof value !== "boolean") throw new BadStatement(path, "must be true or false");
  return value;
}

function choice(choices) {
  return (value, path) => {
    if (choices.includes(value)) return value;
    throw new BadStatement(path, `must be one of ${choices.join(", ")}`);
  };
}

function octets(length) {
  const pattern = new RegExp(`^0x[0-9a-fA-F]{${2 * length}}$`);
  return (value, path) => {
    if (pattern.test(string(value, path))) return value;
    throw new BadStatement(path, `must be 0x and ${2 * length} hex digits`);
  };
}

function instant(value, path) {
  const found = string(value, path);
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(found) ? Date.parse(found) : Number.NaN;
  const seconds = Number.isNaN(at) ? -1n : BigInt(at) / 1000n;
  if (seconds < 0n || seconds > INSTANT_S_MAX || instantText(seconds) !== found) {
    throw new BadStatement(path, "must be a time like 2016-06-01T00:00:00Z");
  }
  return seconds;
}

function listed(readItem) {
  return (value, path) => {
    if (!Array.isArray(value)) throw new BadStatement(path, "must be a list");
    return value.map((item, place) => readItem(item, `${path}[${place}]`));
  };
}

function numbers(names, most) {
  return (value, path) => {
    const fields = new Fields(value, path);
    const read = Object.fromEntries(names.map((name) => [name, fields.take(name, whole(0n, most))]));
    fields.done();
    return read;
  };
}

function row(value, path) {
  const fields = new Fields(value, path);
  const read = { start_s: fields.take("start", instant) };
  for (const name of ROW_ENERGIES) read[name] = fields.take(name, whole(0n, ENERGY_WH_MAX));
  read.estimated = fields.take("estimated", flag);
  read.uncovered = fields.take("uncovered", flag);
  fields.done();
  return read;
}

function meter(value, path) {
  const fields = new Fields(value, path);
  const read = {
    meter_id: fields.take("meter_id", octets(32)),
    class: fields.take("class", choice(["certified", "gateway", "imported"])),
  };
  fields.done();
  return read;
}

function hashOf(...parts) {
  return hexOf(keccak256(concat(...parts)));
}
