// What a person says of themselves and of their devices: joining, a name, a meter. Nothing is signed
// by the wallet here; a meter's own key says that it is this person's.

import { send } from "./api.js";
import { microOf } from "./amounts.js";
import { el } from "./dom.js";
import { BadInput } from "./home-acts.js";
import { addressOf, sign } from "./keys.js";
import { communityMs, market } from "./market.js";
import { hexOf, personalDigest } from "./octets.js";
import { t } from "./words.js";

const MICRO_PER_MILLI = 1_000n;
const DEVICE = ["key", "class", "limit_w", "issued_at", "proof"];

/** Each gives what to say once it is done. */
export const PEOPLE = { join, name: changeName, pair };

async function join(form) {
  await send("POST", "/v1/join", { ...personOf(form), note: form.elements.note.value.trim() });
  return [el("p", {}, t("js.home.joined"))];
}

async function changeName(form) {
  await send("PUT", `/v1/accounts/${accountOf(form)}/name`, personOf(form));
  return [el("p", {}, t("js.home.named"))];
}

function personOf(form) {
  return {
    name: textOf(form, "name"),
    contact: form.elements.contact.value.trim(),
    show_name: form.elements.show_name.checked,
  };
}

async function pair(form, { owner }) {
  const label = textOf(form, "label");
  const account = accountOf(form);
  if (form.elements.source.value === "device") {
    await send("POST", "/v1/meters", { account, label, ...deviceOf(form) });
    return [el("p", {}, t("js.home.pair.done"))];
  }
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const { chain_id, contracts } = await market();
  const registry = contracts.registry;
  const said = { secret, account, owner, limit_w: limitOf(form), chain_id, registry };
  const device = await signedFor(said);
  const { id } = await send("POST", "/v1/meters", { account, label, ...device });
  const file = keyFile({
    label,
    key: device.key,
    secret: hexOf(secret),
    meter_id: id,
    service: location.origin,
    chain_id,
    registry,
  });
  return [el("p", {}, t("js.home.pair.done")), file];
}

/** The device's word that it is this owner's, for this account: `PairingIn` of the API says which. */
async function signedFor({ secret, account, owner, limit_w, chain_id, registry }) {
  const issued_at = new Date(Math.floor((await communityMs()) / 1000) * 1000)
    .toISOString()
    .replace(".000Z", "Z");
  const text = [
    "Wattledger: pair this meter",
    `Chain ID: ${chain_id}`,
    `Registry: ${registry}`,
    `Account: ${account}`,
    `Owner: ${owner}`,
    "Class: gateway",
    `Limit: ${limit_w} W`,
    `Issued At: ${issued_at}`,
  ].join("\n");
  const proof = sign(personalDigest(text), secret);
  return { key: addressOf(secret), class: "gateway", limit_w, issued_at, proof };
}

/**
 * The key leaves this browser as a file of the reader's, and in no other way. `wattledger gateway`
 * reads it: whose meter it is, and what its readings are signed for and sent to.
 */
function keyFile(fields) {
  const text = JSON.stringify({ format: "wattledger.meter-key/1", ...fields });
  const href = URL.createObjectURL(new Blob([`${text}\n`], { type: "application/json" }));
  return el(
    "p",
    {},
    t("js.home.pair.keep"),
    " ",
    el("a", { class: "button", href, download: "meter-key.json" }, t("js.home.pair.file")),
  );
}

function deviceOf(form) {
  try {
    const found = JSON.parse(form.elements.device.value);
    if (DEVICE.every((name) => name in found)) {
      return Object.fromEntries(DEVICE.map((name) => [name, found[name]]));
    }
  } catch {
    // Said below, as all that is no device's word.
  }
  throw new BadInput("device", t("js.home.pair.bad_device"));
}

function limitOf(form) {
  const micro = microOf(form.elements.limit_kw.value); // Millionths of a kW are thousandths of a W.
  if (micro === null || micro === 0n || micro % MICRO_PER_MILLI !== 0n) {
    throw new BadInput("limit_kw", t("js.home.pair.bad_limit"));
  }
  return Number(micro / MICRO_PER_MILLI);
}

function accountOf(form) {
  return Number(form.closest("[data-account]").dataset.account);
}

function textOf(form, name) {
  const text = form.elements[name].value.trim();
  if (text === "") throw new BadInput(name, t("js.home.need_text"));
  return text;
}
