// What a chain says of a market, over JSON-RPC: of the service, of a wallet, or of any node.

import { concat, hexOf, keccak256, octetsOf, utf8 } from "./octets.js";
import { wordOctets } from "./statement.js";

const LANES = 4;
const LANE_MASK = 2n ** 64n - 1n;
const LANE_SIGN = 2n ** 63n;
const CHUNK_WORDS = 8;
const ADDRESS_MASK = 2n ** 160n - 1n;
const ERROR_SHOWN = 200;

/** A chain that does not answer, or answers what cannot be. */
export class ChainUnavailable extends Error {}

/** Asks a node by its address. */
export function overHttp(url) {
  return async (method, params) => {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
    const headers = { "Content-Type": "application/json" };
    try {
      const answer = await fetch(url, { method: "POST", headers, body, credentials: "omit" });
      const { result, error } = await answer.json();
      if (error) throw new ChainUnavailable(String(error.message).slice(0, ERROR_SHOWN));
      return result ?? null;
    } catch (error) {
      throw error instanceof ChainUnavailable ? error : new ChainUnavailable(error.message);
    }
  };
}

/** Asks the node of a wallet (EIP-1193). */
export function overWallet(provider) {
  return async (method, params) => {
    try {
      return (await provider.request({ method, params })) ?? null;
    } catch (error) {
      throw new ChainUnavailable(String(error?.message ?? error).slice(0, ERROR_SHOWN));
    }
  };
}

/** One market on one chain. */
export class MarketReader {
  constructor(ask, market) {
    this.ask = ask;
    this.market = market.toLowerCase();
  }

  async chainId() {
    return quantity(await this.ask("eth_chainId", []));
  }

  async blockNumber() {
    return quantity(await this.ask("eth_blockNumber", []));
  }

  async hasCode() {
    return (await this.ask("eth_getCode", [this.market, "latest"])) !== "0x";
  }

  /** What the community was created with, as far as a statement depends on it. */
  async config() {
    const words = await this.#call("config()");
    return {
      registry: addressOf(words[1]),
      window_s: words[7],
      period_windows: words[8],
      residual: words[15] === 0n ? "settled" : "external",
    };
  }

  /** What was committed to for a period and run; null if nothing was. */
  async commitment(periodStartS, run) {
    const [word] = await this.#call("commitmentOf(uint64,uint32)", periodStartS, run);
    return word === 0n ? null : hexOf(wordOctets(word));
  }

  /** How a transaction that applied a run says what it applied; null if it did not. */
  async settlement(transaction, periodStartS, run) {
    const receipt = await this.ask("eth_getTransactionReceipt", [transaction]);
    if (receipt === null || quantity(receipt.status) !== 1n) return null;
    if (!receipt.logs.some((log) => this.#isFinal(log, periodStartS, run))) return null;
    const found = await this.ask("eth_getTransactionByHash", [transaction]);
    const isCall = found !== null && found.to?.toLowerCase() === this.market;
    return isCall ? settlementOf(octetsOf(found.input ?? found.data)) : null;
  }

  /** The prices' words of the transaction that published a run; null if it did not. */
  async published(transaction) {
    const found = await this.ask("eth_getTransactionByHash", [transaction]);
    if (found === null || found.to?.toLowerCase() !== this.market) return null;
    return settlementOf(octetsOf(found.input ?? found.data));
  }

  /** The terms of a meter: whose it is, of what class, from when to when. */
  async termsOf(registry, meterId) {
    const data = hexOf(concat(selector("termsOf(bytes32)"), octetsOf(meterId)));
    const [, count, ...words] = await this.#answer(registry, data);
    return Array.from({ length: Number(count) }, (_, place) => {
      const [, account, meterClass, , validFrom, validUntil] = words.slice(6 * place, 6 * place + 6);
      const names = ["certified", "gateway", "imported"];
      return { account, class: names[Number(meterClass)], validFrom, validUntil };
    });
  }

  #isFinal(log, periodStartS, run) {
    const topics = [
      hexOf(keccak256(utf8("Finalized(uint64,uint32)"))),
      hexOf(wordOctets(periodStartS)),
      hexOf(wordOctets(run)),
    ];
    const isOurs = log.address.toLowerCase() === this.market;
    return isOurs && topics.every((topic, place) => log.topics[place]?.toLowerCase() === topic);
  }

  async #call(signature, ...numbers) {
    const data = concat(selector(signature), ...numbers.map(wordOctets));
    return this.#answer(this.market, hexOf(data));
  }

  async #answer(to, data) {
    const answer = await this.ask("eth_call", [{ to, data }, "latest"]);
    if (typeof answer !== "string" || answer.length < 66) {
      throw new ChainUnavailable(`no answer from ${to}`);
    }
    return wordsOf(octetsOf(answer));
  }
}

/** What the calldata of `finalize`, `propose` or `settle` says; null of anything else. */
export function settlementOf(data) {
  const called = hexOf(data.slice(0, 4));
  const words = wordsOf(data.slice(4));
  const head = { period_start_s: words[0], run: words[1], cutoff_at_s: words[2] };
  if (called === hexOf(selector(FINALIZE))) {
    return {
      ...head,
      statements_root: hexOf(wordOctets(words[3])),
      windows_hash: hexOf(wordOctets(words[4])),
      deltas: arrayAt(words, 5),
    };
  }
  if (called !== hexOf(selector(PROPOSE)) && called !== hexOf(selector(SETTLE))) return null;
  return {
    ...head,
    statements_root: hexOf(wordOctets(words[3])),
    totals_hash: hexOf(wordOctets(words[4])),
    prices: arrayAt(words, 5),
    deltas: arrayAt(words, 6),
  };
}

/** An account's signed lane of delta words; null if it is in none. */
export function laneOf(words, account) {
  const word = words[Number(account) / LANES | 0];
  if (word === undefined) return null;
  let rest = word;
  for (let lane = 0; ; lane += 1) {
    const delta = ((rest & LANE_MASK) ^ LANE_SIGN) - LANE_SIGN;
    if (lane === Number(account) % LANES) return delta;
    rest = (rest - delta) >> 64n;
  }
}

/** Merkle root over chunks of eight delta words, an odd node moved up unchanged. */
export function deltasRootOf(words) {
  let nodes = [];
  for (let place = 0; place < words.length; place += CHUNK_WORDS) {
    const chunk = Array.from({ length: CHUNK_WORDS }, (_, at) => words[place + at] ?? 0n);
    nodes.push(keccak256(concat(...chunk.map(wordOctets))));
  }
  while (nodes.length > 1) {
    const above = [];
    for (let place = 0; place < nodes.length; place += 2) {
      const isPair = place + 1 < nodes.length;
      above.push(isPair ? keccak256(concat(nodes[place], nodes[place + 1])) : nodes[place]);
    }
    nodes = above;
  }
  return hexOf(nodes[0] ?? new Uint8Array(32));
}

const PROPOSAL = "(uint64,uint32,uint64,bytes32,bytes32)";
const FINALIZE = "finalize(uint64,uint32,uint64,bytes32,bytes32,uint256[])";
const PROPOSE = `propose(${PROPOSAL},uint256[],uint256[],(uint32,uint64)[])`;
const SETTLE = `settle(${PROPOSAL},uint256[],uint256[],(uint32,uint64)[])`;

function selector(signature) {
  return keccak256(utf8(signature)).slice(0, 4);
}

function wordsOf(octets) {
  const words = [];
  for (let place = 0; place + 32 <= octets.length; place += 32) {
    words.push(BigInt(hexOf(octets.slice(place, place + 32))));
  }
  return words;
}

/** The array whose offset, in bytes, stands in one word of the head. */
function arrayAt(words, place) {
  const start = Number(words[place] / 32n);
  const count = Number(words[start]);
  return words.slice(start + 1, start + 1 + count);
}

function addressOf(word) {
  return `0x${(word & ADDRESS_MASK).toString(16).padStart(40, "0")}`;
}

function quantity(text) {
  if (typeof text !== "string" || !/^0x[0-9a-fA-F]+$/.test(text)) {
    throw new ChainUnavailable("the chain's answer is not a number");
  }
  return BigInt(text);
}
