// The same sentences and figures as api/pages/words.py writes, from what the frame hands over.
// Amounts stay text or BigInt: no figure passes through a float.

const given = JSON.parse(document.getElementById("words").textContent);
const plurals = new Intl.PluralRules(given.locale);

export const language = given.language;
export const zone = given.zone;
export const currency = given.currency;
export const UNKNOWN = "—"; // What is not known is no zero.
const NO_BREAK = "\u00a0";

/** The sentence of a key ("js.…"), its {placeholders} filled in; `n` chooses its plural form. */
export function t(key, facts = {}) {
  const sentence = given.sentences[key];
  if (sentence === undefined) throw new Error(`no sentence ${key}`);
  return form(sentence, facts.n).replace(/\{([a-z][a-z0-9_]*)\}/g, (_, name) => {
    if (!(name in facts)) throw new Error(`${key} waits for ${name}`);
    return Number.isInteger(facts[name]) ? number(facts[name]) : String(facts[name]);
  });
}

/** Whether there is a sentence of a key. */
export function has(key) {
  return key in given.sentences;
}

/** A problem of the API in words: by its code where there is a sentence, else what it says. */
export function problemWords(problem) {
  const key = `js.problem.${problem.code}`;
  if (has(key)) return t(key);
  return t("js.problem", { detail: problem.detail || problem.code || problem.message });
}

function form(sentence, n) {
  if (typeof sentence === "string") return sentence;
  const chosen = n === undefined ? "other" : plurals.select(Math.abs(Number(n)));
  return sentence[chosen] ?? sentence.other;
}

/** A whole number. */
export function number(value) {
  return decimal(BigInt(value), 0, 0);
}

/** An amount in micro-tokens, exactly: two digits behind the point, more where they say something. */
export function money(micro) {
  return micro === null ? UNKNOWN : priced(BigInt(micro), 6);
}

/** An amount in nano-tokens, exactly. */
export function moneyNano(nano) {
  return nano === null ? UNKNOWN : priced(BigInt(nano), 9);
}

/** A price in micro-tokens per kWh, with its unit. */
export function price(perKwh) {
  return perKwh === null ? UNKNOWN : t("js.per_kwh", { price: money(perKwh) });
}

/** Wh as kWh, exactly, with their unit. */
export function energy(wh) {
  return wh === null ? UNKNOWN : `${decimal(BigInt(wh), 3, 1)}${NO_BREAK}kWh`;
}

/** The number of kWh alone, to the Wh. */
export function kwh(wh) {
  return wh === null ? UNKNOWN : decimal(BigInt(wh), 3, 3);
}

/** W, or kW from 1,000 on. */
export function power(w) {
  if (w === null) return UNKNOWN;
  const watts = BigInt(w);
  const isSmall = watts < 1000n && watts > -1000n;
  return isSmall ? `${number(watts)}${NO_BREAK}W` : `${decimal(watts, 3, 1)}${NO_BREAK}kW`;
}

/** The time of day of an RFC 3339 instant or a Date, local. */
export function clock(at, { seconds = false } = {}) {
  return patterned(at, seconds ? "HH:mm:ss" : "HH:mm");
}

/** Day and time of day, local. */
export function instant(at) {
  return patterned(at, given.instant_format);
}

/** The local day, with its weekday. */
export function day(at) {
  return patterned(at, given.day_format);
}

/** A pattern of CLDR, as far as the catalogues use them. */
function patterned(at, pattern) {
  if (at === null || at === undefined) return UNKNOWN;
  const named = (month) => Object.fromEntries(
    new Intl.DateTimeFormat(given.locale, {
      timeZone: zone, hourCycle: "h23", weekday: "long", day: "numeric", month, year: "numeric",
      hour: "2-digit", minute: "2-digit", second: "2-digit",
    }).formatToParts(new Date(at)).map(({ type, value }) => [type, value]),
  );
  const parts = named(pattern.includes("MMMM") ? "long" : "short");
  const field = {
    EEEE: "weekday", d: "day", MMMM: "month", MMM: "month", y: "year",
    HH: "hour", mm: "minute", ss: "second",
  };
  return pattern.replace(/EEEE|MMMM|MMM|HH|mm|ss|d|y/g, (token) => parts[field[token]]);
}

function priced(amount, digits) {
  const [before, after] = given.money;
  const sign = amount < 0n ? given.minus : "";
  return sign + before + decimal(amount < 0n ? -amount : amount, digits, 2) + after;
}

/** value / 10^digits with all digits that say something, and at least so many behind the point. */
function decimal(value, digits, least) {
  const sign = value < 0n ? given.minus : "";
  const text = (value < 0n ? -value : value).toString().padStart(digits + 1, "0");
  const whole = text.slice(0, text.length - digits).replace(/\B(?=(\d{3})+$)/g, given.group);
  const rest = text.slice(text.length - digits).replace(/0+$/, "").padEnd(least, "0");
  return sign + whole + (digits && rest ? given.decimal + rest : "");
}
