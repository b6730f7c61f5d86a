// Shows what `verify` found: four ticks, each of which opens to the numbers it was computed from.

import { el } from "./dom.js";
import { hexOf } from "./octets.js";
import {
  deltaOf,
  instantText,
  PRICES,
  rowWord,
  sumOf,
  termsOf,
  wordOctets,
} from "./statement.js";
import { facts, table } from "./tables.js";
import { clock, energy, instant, moneyNano, t } from "./words.js";

const MARKS = { good: "✓", bad: "✗", open: "?" };
const TONES = { good: "is-good", bad: "is-bad", open: "is-warning" };

/** The outcome as an element. `asked` says in words who was asked about the chain. */
export function verification(statement, outcome, asked) {
  return el(
    "section",
    { class: "verification", "data-passed": String(outcome.passed) },
    verdict(outcome),
    el("ol", { class: "ticks" }, ...outcome.ticks.map((tick) => tickItem(statement, tick, asked))),
  );
}

/** A sentence in the place of the ticks, where a file could not be read. */
export function failure(sentence) {
  return el("p", { class: "notice is-bad verdict", role: "status" }, sentence);
}

/** A check that failed, in one sentence with both numbers. */
export function sentenceOf(check) {
  const { field, rule, source } = check;
  if (rule !== undefined) return t(`js.verify.rule.${rule}`, { field });
  const [stated, found] = [String(check.stated), String(check.found)];
  return t(`js.verify.differs.${source}`, { field, stated, found });
}

function verdict(outcome) {
  const worst = outcome.ticks.some((tick) => tick.state === "bad") ? "bad" : "open";
  const state = outcome.passed ? "good" : worst;
  return el(
    "div",
    { class: `notice verdict ${TONES[state]}`, role: "status" },
    el("p", {}, el("strong", {}, t(`js.verify.verdict.${state}`))),
    outcome.first && el("p", { class: "first-difference" }, sentenceOf(outcome.first)),
  );
}

function tickItem(statement, tick, asked) {
  const bad = tick.checks.filter((check) => !check.passed);
  return el(
    "li",
    { class: `tick is-${tick.state}`, "data-tick": tick.name, "data-state": tick.state },
    el(
      "details",
      {},
      el(
        "summary",
        {},
        el("span", { class: "mark", "aria-hidden": "true" }, MARKS[tick.state]),
        el(
          "span",
          {},
          el("strong", {}, t(`js.verify.tick.${tick.name}`)),
          ` ${t(`js.verify.state.${tick.state}`)}`,
        ),
      ),
      el("p", { class: "quiet" }, t(`js.verify.tick.${tick.name}.says`)),
      ...bad.map((check) => el("p", { class: "error" }, sentenceOf(check))),
      ...INPUTS[tick.name](statement, tick, asked),
    ),
  );
}

const INPUTS = { rows: rowsInputs, amount: amountInputs, leaf: leafInputs, chain: chainInputs };

function rowsInputs(statement, tick) {
  const number = (name) => ({ name: t(`js.verify.${name}`), isNumber: true });
  const columns = [
    { name: t("js.verify.window") },
    ...["import_wh", "export_wh", "bought_wh", "sold_wh"].map(number),
    { name: t("js.verify.flags") },
    { name: t("js.verify.word") },
  ];
  const rows = statement.rows.map((row) => [
    timeOf(row.start_s),
    ...[row.import_wh, row.export_wh, row.bought_wh, row.sold_wh].map(energy),
    flagsOf(row),
    code(hexOf(wordOctets(rowWord(row)))),
  ]);
  return [
    table({ caption: t("js.verify.rows_caption", { n: rows.length }), columns, rows }),
    facts([["rowsHash", code(tick.rows_hash)]]),
  ];
}

function amountInputs(statement, tick) {
  const rows = termsOf(statement).map((terms, place) => [
    timeOf(statement.rows[place].start_s),
    terms.filter((term) => term.energy_wh !== 0n).map(termLine),
    moneyNano(sumOf(terms)),
  ]);
  const columns = [
    { name: t("js.verify.window") },
    { name: t("js.verify.formula") },
    { name: t("js.verify.amount"), isNumber: true },
  ];
  const total = [t("js.verify.sum"), "", moneyNano(tick.amount_nano)];
  return [
    table({ caption: t("js.verify.amount_caption"), columns, rows, total }),
    facts([
      [t("js.verify.computed"), `${tick.amount_nano} nano`],
      [t("js.verify.stated"), `${statement.amount_nano} nano`],
    ]),
  ];
}

function termLine(term) {
  const sign = term.sign < 0n ? "−" : "+";
  const product = `${sign} ${term.energy_wh} Wh × ${moneyNano(term.per_kwh * 1000n)}/kWh`;
  return el("span", { class: "term" }, `${product} (${t(`js.verify.term.${term.name}`)})`);
}

function leafInputs(statement, tick) {
  const steps = statement.proof.map((sibling, place) =>
    el(
      "li",
      {},
      t("js.verify.beside"),
      " ",
      code(sibling),
      " ",
      t("js.verify.gives"),
      " ",
      code(tick.path[place + 1]),
    ),
  );
  return [
    facts([
      ["account", String(statement.account)],
      ["periodStart", `${instantText(statement.period_start_s)} (${statement.period_start_s})`],
      ["run", String(statement.run)],
      ["rowsHash", code(tick.rows_hash)],
      ["amountNano", String(statement.amount_nano)],
      ["salt", code(statement.salt)],
      [t("js.verify.leaf_computed"), code(tick.leaf)],
      [t("js.verify.leaf_stated"), code(statement.leaf)],
    ]),
    el("p", {}, t("js.verify.path")),
    el("ol", { class: "path" }, ...steps),
    facts([
      [t("js.verify.root_reached"), code(tick.path.at(-1))],
      ["statements_root", code(statement.statements_root)],
    ]),
  ];
}

function chainInputs(statement, tick, asked) {
  if (tick.computed === undefined) {
    const { problem } = tick;
    const said = problem ? t("js.verify.chain_problem", { problem }) : t("js.verify.chain_none");
    return [el("p", {}, said)];
  }
  const delta = `${statement.amount_nano} − ${statement.applied_before_nano} + ${statement.shortfall_nano} = ${deltaOf(statement)}`;
  const known = (value) => (value === undefined || value === null ? "—" : String(value));
  return [
    el("p", {}, t("js.verify.asked", { asked, block: String(tick.block) })),
    facts([
      ["chainId", String(statement.chain_id)],
      ["market", code(statement.market)],
      ["statementsRoot", code(statement.statements_root)],
      ["windowsHash", code(tick.windows_hash)],
      ["deltasRoot", code(statement.deltas_root)],
      ["run", String(statement.run)],
      ["cutoffAt", `${instantText(statement.cutoff_at_s)} (${statement.cutoff_at_s})`],
      [t("js.verify.commitment_computed"), code(tick.computed)],
      [t("js.verify.commitment_stored"), code(known(tick.stored))],
      [t("js.verify.transaction"), code(statement.transaction)],
      [t("js.verify.delta"), `${delta} nano`],
      [t("js.verify.lane", { account: String(statement.account) }), `${known(tick.lane_nano)} nano`],
    ]),
    pricesTable(statement),
  ];
}

function pricesTable(statement) {
  const columns = [
    { name: t("js.verify.window") },
    ...PRICES.map((name) => ({ name: t(`js.verify.${name}`), isNumber: true })),
    { name: t("js.verify.traded_all"), isNumber: true },
  ];
  const rows = statement.prices.map((price, place) => [
    timeOf(statement.rows[place].start_s),
    ...PRICES.map((name) => moneyNano(price[name] * 1000n)),
    energy(statement.totals[place].traded_wh),
  ]);
  return table({ caption: t("js.verify.prices_caption"), columns, rows });
}

function flagsOf(row) {
  const names = ["estimated", "uncovered"].filter((name) => row[name]);
  return names.map((name) => t(`js.verify.flag.${name}`)).join(", ") || "—";
}

function timeOf(start_s) {
  const at = instantText(start_s);
  return el("time", { datetime: at, title: `${instant(at)} · ${at}` }, clock(at));
}

function code(text) {
  return el("code", {}, text);
}
