// Bytes, hexadecimal text and Keccak-256: the only module that knows the hashing library.

import { keccak_256 } from "../vendor/noble-hashes/sha3.js";

/** Keccak-256 as Ethereum uses it (not SHA3-256). */
export function keccak256(octets) {
  return keccak_256(octets);
}

/** Text as bytes. */
export function utf8(text) {
  return new TextEncoder().encode(text);
}

/** Bytes as `0x…`. */
export function hexOf(octets) {
  return `0x${[...octets].map((octet) => octet.toString(16).padStart(2, "0")).join("")}`;
}

/** `0x…` as bytes. */
export function octetsOf(hex) {
  if (typeof hex !== "string" || !/^0x([0-9a-fA-F]{2})*$/.test(hex)) {
    throw new TypeError("not hexadecimal: 0x and two digits for each byte");
  }
  return Uint8Array.from(hex.slice(2).match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
}

/** One behind the other. */
export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}

/** An address in its EIP-55 spelling. */
export function checksumAddress(address) {
  const plain = address.toLowerCase().replace(/^0x/, "");
  const digest = hexOf(keccak256(utf8(plain))).slice(2);
  const spelled = [...plain].map((char, place) =>
    Number.parseInt(digest[place], 16) > 7 ? char.toUpperCase() : char,
  );
  return `0x${spelled.join("")}`;
}

/** An address that fits a button: `0x5aAe…eAed`. */
export function shortAddress(address) {
  const spelled = checksumAddress(address);
  return `${spelled.slice(0, 6)}…${spelled.slice(-4)}`;
}

/** The 32 bytes that `personal_sign` signs (EIP-191, version 0x45). */
export function personalDigest(text) {
  const message = utf8(text);
  return keccak256(concat(utf8(`\x19Ethereum Signed Message:\n${message.length}`), message));
}
