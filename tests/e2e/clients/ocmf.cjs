// Signs meter values with node's own crypto: one OCMF 1.0 record of begin and end. Nothing of this
// project is used, so that what it verifies was not made by it.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");

const METHODS = { prime256v1: "ECDSA-secp256r1-SHA256", secp256k1: "ECDSA-secp256k1-SHA256" };

/** A private key of a PEM file, and its public key as DER in hex. */
function keyOf(path) {
  const key = crypto.createPrivateKey(fs.readFileSync(path));
  const publicKey = crypto.createPublicKey(key).export({ type: "spki", format: "der" });
  return { key, publicKeyHex: publicKey.toString("hex") };
}

/** Whole Wh as kWh with three digits; numbers here are far below 2^53. */
function kwh(wh) {
  return `${Math.floor(wh / 1000)}.${String(wh % 1000).padStart(3, "0")}`;
}

function reading(at, wh, transaction) {
  const stamp = at.toISOString().replace("Z", "+0000").replace(".", ",");
  return (
    `{"TM":"${stamp} S","TX":"${transaction}","RV":${kwh(wh)},"RI":"1-0:1.8.0*255",` +
    `"RU":"kWh","RT":"AC","EF":"","ST":"G"}`
  );
}

/** The record's text. `begin` and `end` are `{ at: Date, wh: integer }`. */
function record(begin, end, { key, idToken, point, page }) {
  const head = JSON.stringify({
    FV: "1.0",
    GI: "independent client",
    GS: "NODE-1",
    PG: `T${page}`,
    MV: "node",
    MM: "crypto",
    MS: "NODE-1",
    IS: true,
    IL: "HEARSAY",
    IF: ["OCPP_RS"],
    IT: "CENTRAL",
    ID: idToken,
    CT: "CBIDC",
    CI: point,
  });
  const readings = `[${reading(begin.at, begin.wh, "B")},${reading(end.at, end.wh, "E")}]`;
  const payload = `${head.slice(0, -1)},"RD":${readings}}`;
  const signed = crypto.sign("sha256", Buffer.from(payload, "utf8"), key).toString("hex");
  const method = METHODS[key.asymmetricKeyDetails.namedCurve];
  return `OCMF|${payload}|${JSON.stringify({ SA: method, SE: "hex", SM: "application/x-der", SD: signed })}`;
}

module.exports = { keyOf, kwh, record };
