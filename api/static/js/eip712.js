// Typed data (EIP-712): what is signed, from its fields. Strict: nothing is guessed or left out.

import { concat, hexOf, keccak256, octetsOf, utf8 } from "./octets.js";

const DOMAIN_TYPES = {
  name: "string",
  version: "string",
  chainId: "uint256",
  verifyingContract: "address",
  salt: "bytes32",
};
const UINT = /^uint(8|16|32|64|128|256)$/;
const FIXED = /^bytes([1-9]|[12][0-9]|3[0-2])$/;

/** Typed data that is not what its types say. */
export class BadTypedData extends Error {}

/** `Name(type name,…)`, with every struct that it uses behind it, in order of their names. */
export function encodeType(types, primaryType) {
  const used = [...structsIn(types, primaryType)].filter((name) => name !== primaryType).sort();
  return [primaryType, ...used]
    .map((name) => `${name}(${types[name].map((f) => `${f.type} ${f.name}`).join(",")})`)
    .join("");
}

/** The hash of one struct. */
export function hashStruct(types, primaryType, message) {
  const fields = fieldsOf(types, primaryType);
  const stated = Object.keys(message);
  const unknown = stated.find((name) => !fields.some((field) => field.name === name));
  if (unknown !== undefined) throw new BadTypedData(`${primaryType} has no ${unknown}`);
  const words = fields.map((field) => {
    if (!stated.includes(field.name)) throw new BadTypedData(`${field.name} is missing`);
    return wordOf(types, field, message[field.name]);
  });
  return keccak256(concat(keccak256(utf8(encodeType(types, primaryType))), ...words));
}

/** The fields of a domain, in the order of EIP-712, as far as they are stated. */
export function domainFields(domain) {
  return Object.entries(DOMAIN_TYPES)
    .filter(([name]) => domain[name] !== undefined)
    .map(([name, type]) => ({ name, type }));
}

/** The hash of a domain. */
export function domainSeparator(domain) {
  return hashStruct({ EIP712Domain: domainFields(domain) }, "EIP712Domain", domain);
}

/** The 32 bytes that are signed. */
export function digestOf({ domain, types, primaryType, message }) {
  const prefix = Uint8Array.of(0x19, 0x01);
  return keccak256(
    concat(prefix, domainSeparator(domain), hashStruct(types, primaryType, message)),
  );
}

/** The same as text. */
export function digestHex(typed) {
  return hexOf(digestOf(typed));
}

/** What `eth_signTypedData_v4` takes: the domain's type is named, whole numbers are text. */
export function typedDataJson({ domain, types, primaryType, message }) {
  const named = { EIP712Domain: domainFields(domain), ...types };
  const chainId = Number(domain.chainId);
  return JSON.stringify(
    { types: named, primaryType, domain: { ...domain, chainId }, message },
    (_, value) => (typeof value === "bigint" ? value.toString() : value),
  );
}

/** What such text says; `typedDataJson` turned round. */
export function typedDataOf(text) {
  const { types, primaryType, domain, message } = JSON.parse(text);
  const { EIP712Domain: _, ...others } = types;
  return { types: others, primaryType, domain, message };
}

function structsIn(types, name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  for (const field of fieldsOf(types, name)) {
    if (types[field.type] !== undefined) structsIn(types, field.type, found);
  }
  return found;
}

function fieldsOf(types, name) {
  const fields = types[name];
  if (fields === undefined) throw new BadTypedData(`there is no type ${name}`);
  return fields;
}

function wordOf(types, { name, type }, value) {
  if (types[type] !== undefined) return hashStruct(types, type, value);
  const bits = UINT.exec(type);
  if (bits) return uintWord(name, value, BigInt(bits[1]));
  const length = FIXED.exec(type);
  if (length) return padded(sized(name, value, Number(length[1])), { atEnd: true });
  switch (type) {
    case "address":
      return padded(sized(name, value, 20), { atEnd: false });
    case "bool":
      if (typeof value !== "boolean") throw new BadTypedData(`${name} is not a truth value`);
      return uintWord(name, value ? 1 : 0, 8n);
    case "string":
      if (typeof value !== "string") throw new BadTypedData(`${name} is not text`);
      return keccak256(utf8(value));
    case "bytes":
      return keccak256(octetsOf(value));
    default:
      throw new BadTypedData(`${name} has the unknown type ${type}`);
  }
}

function uintWord(name, value, bits) {
  const isText = typeof value === "string" && /^(0|[1-9][0-9]*)$/.test(value);
  if (!isText && typeof value !== "bigint" && !Number.isSafeInteger(value)) {
    throw new BadTypedData(`${name} is not a whole number`);
  }
  const number = BigInt(value);
  if (number < 0n || number >= 1n << bits) throw new BadTypedData(`${name} is out of range`);
  return octetsOf(`0x${number.toString(16).padStart(64, "0")}`);
}

function sized(name, value, length) {
  const octets = octetsOf(value);
  if (octets.length !== length) throw new BadTypedData(`${name} does not have ${length} bytes`);
  return octets;
}

function padded(octets, { atEnd }) {
  const word = new Uint8Array(32);
  word.set(octets, atEnd ? 0 : 32 - octets.length);
  return word;
}
