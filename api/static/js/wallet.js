// Wallets of people (EIP-1193, EIP-6963), asked in one way; a demo's own answer in the same way.

import { demoWallet } from "./demo-wallet.js";
import { digestOf, typedDataJson } from "./eip712.js";
import { checksumAddress, hexOf, octetsOf, utf8 } from "./octets.js";

const ANNOUNCED_WITHIN_MS = 120;
const REFUSED = 4001;
const UNKNOWN_CHAIN = 4902;
const KEPT = "wattledger.wallet";

/** What went wrong with a wallet; `code` is one of those that have words (`js.wallet.…`). */
export class WalletProblem extends Error {
  constructor(code, facts = {}) {
    super(code);
    this.name = "WalletProblem";
    this.code = code;
    this.facts = facts;
  }
}

const announced = new Map();
globalThis.addEventListener("eip6963:announceProvider", ({ detail }) => {
  const { info, provider } = detail ?? {};
  if (!info?.uuid || typeof provider?.request !== "function") return;
  announced.set(info.rdns || info.uuid, {
    id: `eip6963:${info.rdns || info.uuid}`,
    name: String(info.name).slice(0, 60),
    isDemo: false,
    provider,
  });
});

/** The wallets of this browser, by name. They are given a moment to say that they are there. */
export async function wallets() {
  globalThis.dispatchEvent(new Event("eip6963:requestProvider"));
  await new Promise((resolve) => setTimeout(resolve, ANNOUNCED_WITHIN_MS));
  return [...announced.values()].sort((one, other) => one.name.localeCompare(other.name));
}

/** Asks a wallet for its address, on the community's chain: `{wallet, address, chainId}`. */
export async function connect(wallet, chainId) {
  const [address] = await ask(wallet, "eth_requestAccounts");
  if (!address) throw new WalletProblem("no_account");
  const connected = { wallet, address: checksumAddress(address), chainId };
  await requireChain(connected);
  return connected;
}

/** Refuses a wallet that is on another chain: it is not asked for anything there. */
export async function requireChain({ wallet, chainId }) {
  const actual = BigInt(await ask(wallet, "eth_chainId"));
  if (actual !== BigInt(chainId)) {
    throw new WalletProblem("wrong_chain", {
      expected: String(chainId), // As text: it is a name, and no number to be grouped.
      actual: actual.toString(),
    });
  }
}

/** Asks a wallet to go to the community's chain; `rpcUrl` if it may have to be told where that is. */
export async function switchChain(wallet, chainId, { rpcUrl, name } = {}) {
  const asked = { chainId: `0x${BigInt(chainId).toString(16)}` };
  try {
    await wallet.provider.request({ method: "wallet_switchEthereumChain", params: [asked] });
  } catch (error) {
    const isUnknown = [error?.code, error?.data?.originalError?.code].includes(UNKNOWN_CHAIN);
    if (!isUnknown || !rpcUrl) throw problemOf(error);
    const told = {
      ...asked,
      chainName: name,
      rpcUrls: [rpcUrl],
      nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    };
    await ask(wallet, "wallet_addEthereumChain", [told]);
  }
}

/** Signs a text (`personal_sign`). */
export async function signText({ wallet, address }, text) {
  return evenV(await ask(wallet, "personal_sign", [hexOf(utf8(text)), address]));
}

/** Signs typed data. The chain and the account are looked at first, and the signature after. */
export async function signTyped(connected, typed) {
  const { wallet, address } = connected;
  if (BigInt(typed.domain.chainId) !== BigInt(connected.chainId)) {
    throw new WalletProblem("wrong_chain", {
      expected: String(connected.chainId),
      actual: String(typed.domain.chainId),
    });
  }
  await requireChain(connected);
  await requireAccount(connected);
  const params = [address, typedDataJson(typed)];
  const signature = evenV(await ask(wallet, "eth_signTypedData_v4", params));
  const { recover } = await import("./keys.js");
  const isOne = octetsOf(signature).length === 65; // Others are a contract wallet's.
  if (isOne && recover(digestOf(typed), signature) !== address) {
    throw new WalletProblem("other_signer");
  }
  return signature;
}

async function requireAccount({ wallet, address }) {
  const accounts = await ask(wallet, "eth_accounts");
  if (!accounts.some((each) => each.toLowerCase() === address.toLowerCase())) {
    throw new WalletProblem("other_account", { address });
  }
}

async function ask(wallet, method, params = []) {
  try {
    return await wallet.provider.request({ method, params });
  } catch (error) {
    throw problemOf(error);
  }
}

function problemOf(error) {
  if (error instanceof WalletProblem) return error;
  if (error?.code === REFUSED) return new WalletProblem("refused");
  return new WalletProblem("failed", { detail: String(error?.message ?? error).slice(0, 200) });
}

/** Some devices say 0 and 1 where all others say 27 and 28. */
function evenV(signature) {
  const octets = octetsOf(signature);
  if (octets.length === 65 && octets[64] < 2) octets[64] += 27;
  return hexOf(octets);
}

/** Remembers the wallet in use: the sign-in's cookie is the whole browser's, so this is, too. */
export function keepWallet({ wallet, address }) {
  localStorage.setItem(KEPT, JSON.stringify({ id: wallet.id, address }));
}

/** Forgets it. */
export function forgetWallet() {
  localStorage.removeItem(KEPT);
}

/** The address that signed in last in this browser, and its wallet's id; null if nobody did. */
export function keptWallet() {
  try {
    return JSON.parse(localStorage.getItem(KEPT));
  } catch {
    return null;
  }
}

/** The wallet in use again, without asking it anything; null if it is not here. */
export async function walletInUse(chainId) {
  const kept = keptWallet();
  if (kept === null) return null;
  const [kind, name] = [kept.id.slice(0, kept.id.indexOf(":")), kept.id.split(":").pop()];
  const wallet =
    kind === "demo"
      ? demoWallet(name, chainId)
      : (await wallets()).find((each) => each.id === kept.id);
  return wallet === undefined ? null : { wallet, address: kept.address, chainId };
}

/** Whether something else in this browser signed in or out. */
export function onWalletChange(told) {
  globalThis.addEventListener("storage", ({ key }) => {
    if (key === KEPT || key === null) told();
  });
}
