// What both clients share: their arguments, the lines that they print, and one charge's numbers.
//
//   node station_1_6.cjs URL ID PASSWORD [OPTIONS]
//
// URL is what stands before the id, OPTIONS a JSON object with some of: connector, register_wh,
// energy_wh, values, every_ms, ends ("local" or "remote"), ocmf_key (a PEM file).
"use strict";

const { setTimeout: sleep } = require("node:timers/promises");

const { keyOf, record } = require("./ocmf.cjs");

const DEFAULTS = {
  connector: 1,
  register_wh: 910_123,
  energy_wh: 83,
  values: 3,
  every_ms: 200,
  ends: "local",
};

/** `[url, id, password, options]` of the command line. */
function given() {
  const [url, id, password, text] = process.argv.slice(2);
  if (!password) {
    console.error("usage: node CLIENT URL ID PASSWORD [OPTIONS]");
    process.exit(2);
  }
  return [url.replace(/\/*$/, ""), id, password, { ...DEFAULTS, ...JSON.parse(text ?? "{}") }];
}

/** One JSON object a line. */
function tell(event, facts = {}) {
  console.log(JSON.stringify({ event, ...facts }));
}

/** Something that is waited for once. */
function promised() {
  let keep;
  const promise = new Promise((resolve) => (keep = resolve));
  return { promise, keep };
}

/** Whole seconds: what is stated must not be later than the next block. */
function now() {
  return new Date(Math.floor(Date.now() / 1000) * 1000);
}

/** Registers at begin, in between and at end; `each` sends one that lies between. */
async function measure(options, stop, each) {
  const begin = { at: now(), wh: options.register_wh };
  for (let place = 1; place <= options.values; place += 1) {
    await sleep(options.every_ms);
    const wh = begin.wh + Math.floor((options.energy_wh * place) / options.values);
    await each({ at: now(), wh }, place);
  }
  if (options.ends === "remote") await stop.promise;
  return { begin, end: { at: now(), wh: begin.wh + options.energy_wh } };
}

/** The signed record of a charge, if there is a key, and the key. */
function evidence(options, { begin, end }, idToken, point) {
  if (!options.ocmf_key) return {};
  const { key, publicKeyHex } = keyOf(options.ocmf_key);
  return { text: record(begin, end, { key, idToken, point, page: 1 }), publicKeyHex };
}

/** Ends the process whatever is still open. */
function run(main) {
  main().then(
    () => process.exit(0),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
}

module.exports = { evidence, given, measure, now, promised, run, tell };
