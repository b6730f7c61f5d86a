// The messages that people sign here (INTERFACES §4, and ERC-2612), and what each field is.

const uint64 = (name) => ({ name, type: "uint64" });
const uint256 = (name) => ({ name, type: "uint256" });
const bytes32 = (name) => ({ name, type: "bytes32" });
const address = (name) => ({ name, type: "address" });
const account = { name: "account", type: "uint32" };

const TARIFF = ["energyPerKwh", "startFee", "timePerHour", "idlePerHour"].map(uint64);

/** Every type that is signed here, with the types that it uses. */
export const TYPES = {
  ChargeOrder: {
    ChargeOrder: [
      address("driver"),
      bytes32("chargerId"),
      uint64("depositMicro"),
      { name: "tariff", type: "Tariff" },
      uint64("validUntil"),
      uint256("nonce"),
    ],
    Tariff: TARIFF,
  },
  ChargeRecord: {
    ChargeRecord: [
      bytes32("sessionId"),
      uint64("startWh"),
      uint64("stopWh"),
      uint64("startedAt"),
      uint64("stoppedAt"),
      uint64("idleS"),
      bytes32("evidenceHash"),
    ],
  },
  TopUp: { TopUp: [bytes32("sessionId"), uint64("addMicro"), uint256("nonce")] },
  PriceLimits: {
    PriceLimits: [
      account,
      uint64("validFrom"),
      uint64("maxBuyPerKwh"),
      uint64("minSellPerKwh"),
      uint256("nonce"),
    ],
  },
  Withdrawal: { Withdrawal: [account, uint64("amountMicro"), uint256("nonce")] },
  MeterReading: {
    MeterReading: [bytes32("meterId"), uint64("takenAt"), uint64("importWh"), uint64("exportWh")],
  },
  Permit: {
    Permit: [
      address("owner"),
      address("spender"),
      uint256("value"),
      uint256("nonce"),
      uint256("deadline"),
    ],
  },
};

/** How a field is said in words: the name of a formatter in `review.js`. */
export const KINDS = {
  driver: "address",
  owner: "address",
  spender: "address",
  chargerId: "noted",
  sessionId: "noted",
  depositMicro: "money",
  addMicro: "money",
  amountMicro: "money",
  value: "money",
  energyPerKwh: "price",
  startFee: "money",
  timePerHour: "hourly",
  idlePerHour: "hourly",
  maxBuyPerKwh: "highest",
  minSellPerKwh: "lowest",
  validUntil: "instant",
  validFrom: "instant",
  deadline: "instant",
  account: "noted",
  nonce: "noted",
};

/** A message of one of these types, ready to be signed. */
export function typed(primaryType, domain, message) {
  return { domain, types: TYPES[primaryType], primaryType, message };
}

/** A nonce that was never used: for messages whose nonces are in no order. */
export function randomNonce() {
  const words = crypto.getRandomValues(new BigUint64Array(4));
  return words.reduce((nonce, word) => (nonce << 64n) | word, 0n).toString();
}

/** The fields of a message in the order in which a wallet shows them, those of structs inside. */
export function* fieldsInOrder(types, primaryType, message, inside = "") {
  for (const { name, type } of types[primaryType]) {
    const path = inside + name;
    if (types[type] === undefined) yield { name, path, type, value: message[name] };
    else yield* fieldsInOrder(types, type, message[name], `${path}.`);
  }
}
