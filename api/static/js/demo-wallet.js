// A wallet to play with, on a demo's own chain only: its keys are published, and made of a name.
//
// It answers as any browser wallet does (EIP-1193), so that nothing else needs to know of it.

import { digestOf, typedDataOf } from "./eip712.js";
import { keccak256, octetsOf, personalDigest, utf8 } from "./octets.js";

const PREFIX = "wattledger demo wallet: ";
export const NAME = "[A-Za-z0-9][A-Za-z0-9\\-]{0,31}"; // Of a demo wallet, as a pattern of HTML.

/** An error as EIP-1193 has it. */
export class ProviderError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The published key of a name. */
export function demoSecret(name) {
  return keccak256(utf8(PREFIX + name));
}

/** The wallet of a name. */
export function demoWallet(name, chainId) {
  const secret = demoSecret(name);
  let opened = null;
  return {
    id: `demo:${name}`,
    name,
    isDemo: true,
    provider: { request: ({ method, params }) => answer(method, params ?? []) },
  };

  /** The curve's library is large: it comes when the wallet is used. */
  function open() {
    opened ??= import("./keys.js").then(({ addressOf, sign }) => ({
      address: addressOf(secret),
      sign: (digest) => sign(digest, secret),
    }));
    return opened;
  }

  async function answer(method, params) {
    const { address, sign } = await open();
    const requireOwn = (asked) => {
      if (asked.toLowerCase() !== address.toLowerCase()) {
        throw new ProviderError(4100, "a demo wallet has one address");
      }
    };
    switch (method) {
      case "eth_requestAccounts":
      case "eth_accounts":
        return [address];
      case "eth_chainId":
        return `0x${chainId.toString(16)}`;
      case "personal_sign":
        requireOwn(params[1]);
        return sign(personalDigest(new TextDecoder().decode(octetsOf(params[0]))));
      case "eth_signTypedData_v4":
        requireOwn(params[0]);
        return sign(digestOf(ownChain(typedDataOf(params[1]))));
      default:
        throw new ProviderError(4200, `a demo wallet knows no ${method}`);
    }
  }

  function ownChain(typed) {
    if (BigInt(typed.domain.chainId) !== BigInt(chainId)) {
      throw new ProviderError(4901, "a demo wallet signs for its own chain only");
    }
    return typed;
  }
}
