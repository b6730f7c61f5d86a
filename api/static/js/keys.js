// Secret keys and signatures (secp256k1): the only module that knows the curve's library.

import { secp256k1 } from "../vendor/noble-curves/secp256k1.js";
import { checksumAddress, hexOf, keccak256, octetsOf } from "./octets.js";

const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;

/** The address of a secret key. */
export function addressOf(secret) {
  return addressOfPoint(secp256k1.getPublicKey(secret, false));
}

/** Signs 32 bytes: 65 bytes `r‖s‖v` as text, low s, deterministic. */
export function sign(digest, secret) {
  const [recovery, ...compact] = secp256k1.sign(digest, secret, {
    prehash: false,
    format: "recovered",
  });
  return hexOf(Uint8Array.of(...compact, 27 + recovery));
}

/** The address of the key that signed; null if no key did, or s is high. */
export function recover(digest, signature) {
  const octets = octetsOf(signature);
  const v = octets[64];
  const s = BigInt(hexOf(octets.slice(32, 64)) || 0);
  if (octets.length !== 65 || (v !== 27 && v !== 28) || s > HALF_ORDER) return null;
  try {
    const found = Uint8Array.of(v - 27, ...octets.slice(0, 64));
    const key = secp256k1.recoverPublicKey(found, digest, { prehash: false });
    return addressOfPoint(secp256k1.Point.fromBytes(key).toBytes(false));
  } catch {
    return null;
  }
}

function addressOfPoint(uncompressed) {
  return checksumAddress(hexOf(keccak256(uncompressed.slice(1)).slice(-20)));
}
