// The settlement token as its chain has it, and permits of it (ERC-2612).

import { overHttp, overWallet } from "./chain-reader.js";
import { domainSeparator } from "./eip712.js";
import { concat, hexOf, keccak256, octetsOf, utf8 } from "./octets.js";
import { typed } from "./typed.js";

const WORD = 32;

/** The wallet does not hold what is needed, or the token knows no permits. */
export class FundsMissing extends Error {
  constructor({ neededMicro, heldMicro, noPermits = false }) {
    super(noPermits ? "no permits" : "too little");
    this.code = noPermits ? "no_permits" : "funds_missing";
    this.neededMicro = neededMicro;
    this.heldMicro = heldMicro;
  }
}

/** Whom to ask about the chain: the wallet's own node, or ours for a demo's wallet. */
export function askThrough(wallet) {
  return wallet.isDemo ? overHttp("/rpc") : overWallet(wallet.provider);
}

/** The token of a community. */
export class Token {
  constructor(ask, address) {
    this.ask = ask;
    this.address = address;
  }

  /** What somebody holds, in its base units. */
  async balanceOf(owner) {
    return this.#number("balanceOf(address)", owner);
  }

  /** What a spender may still take. */
  async allowance(owner, spender) {
    return this.#number("allowance(address,address)", owner, spender);
  }

  /** The permit that lets a spender take an amount; null where its allowance suffices, unless asked. */
  async permit({ owner, spender, amountMicro, deadline, chainId, evenIfAllowed = false }) {
    const neededMicro = BigInt(amountMicro);
    const heldMicro = await this.balanceOf(owner);
    if (heldMicro < neededMicro) throw new FundsMissing({ neededMicro, heldMicro });
    const isAllowed = (await this.allowance(owner, spender)) >= neededMicro;
    if (isAllowed && !evenIfAllowed) return null;
    let domain, nonce;
    try {
      domain = await this.#domain(chainId);
      nonce = await this.#number("nonces(address)", owner);
    } catch {
      throw new FundsMissing({ neededMicro, heldMicro, noPermits: true });
    }
    return typed("Permit", domain, {
      owner,
      spender,
      value: neededMicro.toString(),
      nonce: nonce.toString(),
      deadline: String(deadline),
    });
  }

  /** What its permits are signed under; it must be what the token itself says. */
  async #domain(chainId) {
    const domain = { ...(await this.#named()), chainId, verifyingContract: this.address };
    const said = await this.#call("DOMAIN_SEPARATOR()");
    if (hexOf(said.slice(0, WORD)) !== hexOf(domainSeparator(domain))) {
      throw new TypeError("the token's domain is another one");
    }
    return domain;
  }

  /** Name and version, as ERC-5267 tells them, else as most tokens do. */
  async #named() {
    try {
      const words = await this.#call("eip712Domain()");
      return { name: textAt(words, 1), version: textAt(words, 2) };
    } catch {
      const name = textAt(await this.#call("name()"), 0);
      const version = await this.#call("version()").then(
        (words) => textAt(words, 0),
        () => "1",
      );
      return { name, version };
    }
  }

  async #number(signature, ...addresses) {
    return BigInt(hexOf((await this.#call(signature, ...addresses)).slice(0, WORD)));
  }

  async #call(signature, ...addresses) {
    const words = addresses.map((each) => concat(new Uint8Array(12), octetsOf(each)));
    const data = concat(keccak256(utf8(signature)).slice(0, 4), ...words);
    const answer = await this.ask("eth_call", [{ to: this.address, data: hexOf(data) }, "latest"]);
    const octets = octetsOf(answer);
    if (octets.length < WORD) throw new TypeError(`no answer to ${signature}`);
    return octets;
  }
}

/** The text to which a word of an ABI answer points. */
function textAt(octets, place) {
  const at = numberAt(octets, place * WORD);
  const length = numberAt(octets, at);
  return new TextDecoder("utf-8", { fatal: true }).decode(
    octets.slice(at + WORD, at + WORD + length),
  );
}

function numberAt(octets, at) {
  return Number(BigInt(hexOf(octets.slice(at, at + WORD))));
}
