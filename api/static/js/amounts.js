// Amounts as people type them.

const AMOUNT = /^([0-9]{1,9})(?:[.,]([0-9]{1,6}))?$/;

/** "12.50" or "12,50" in micro-tokens; null if it is no amount. */
export function microOf(text) {
  const found = AMOUNT.exec(text.replace(/[\s\u00a0\u202f]/g, ""));
  if (found === null) return null;
  return BigInt(found[1]) * 1_000_000n + BigInt((found[2] ?? "").padEnd(6, "0"));
}
