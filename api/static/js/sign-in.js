// Who is signed in in this browser: the dialog that signs in and out, on every page.

import { ApiProblem, get, send } from "./api.js";
import { demoWallet, NAME } from "./demo-wallet.js";
import { el, showDialog } from "./dom.js";
import { market } from "./market.js";
import { checksumAddress, shortAddress } from "./octets.js";
import { signInText } from "./siwe.js";
import {
  connect,
  forgetWallet,
  keepWallet,
  keptWallet,
  onWalletChange,
  signText,
  switchChain,
  walletInUse,
  wallets,
} from "./wallet.js";
import { has, problemWords, t } from "./words.js";

export const CHANGED = "wattledger:identity";
const WANTED = [
  ["/charge", ["driver"]],
  ["/grid", ["grid", "operator"]],
];
const isDemo = document.body.hasAttribute("data-demo");

/** Who is signed in: `{address, roles, accounts, expires_at}`; null if nobody is. */
export async function identity() {
  if (keptWallet() === null) return null;
  try {
    return await get("/v1/me");
  } catch (problem) {
    if (!(problem instanceof ApiProblem) || problem.status !== 401) throw problem;
    forgetWallet();
    return null;
  }
}

/**
 * Somebody who is signed in and whose wallet is at hand: `{wallet, address, chainId, me}`.
 *
 * Asks only for what is missing; null if the reader would rather not. `reason` says what for.
 */
export async function ensureSignedIn({ reason } = {}) {
  const [{ chain_id: chainId }, me] = await Promise.all([market(), identity()]);
  const connected = me && (await walletInUse(chainId));
  if (connected && sameAddress(connected.address, me.address)) return { ...connected, me };
  return openSignIn({ reason });
}

/** Opens the dialog; who signed in, or null. */
export async function openSignIn({ reason } = {}) {
  const { chain_id: chainId } = await market();
  const [found, people] = await Promise.all([wallets(), demoPeople()]);
  return showDialog(t("js.wallet.title"), (dialog, close) => {
    const said = el("div", { role: "alert" });
    const choose = (wallet) => attempt(dialog, said, wallet, chainId, close);
    const own = ownChoice(found, choose);
    const demo = people.length ? demoChoice(people, chainId, choose) : [];
    // Who has a wallet here is not led past it; who has none is not led to it.
    const choices = found.length ? [...own, said, ...demo] : [...demo, ...own, said];
    dialog.append(el("p", {}, reason ?? t("js.wallet.lead")), ...choices, closing(close));
  });
}

/** Signs out here and at the service. */
export async function signOut() {
  try {
    await send("POST", "/v1/auth/logout");
  } catch (problem) {
    if (!(problem instanceof ApiProblem) || problem.status !== 401) throw problem;
  }
  forgetWallet();
  tellAll(null);
}

/** A wallet's problem, or the API's, in words. */
export function wordsOfProblem(problem) {
  if (problem instanceof ApiProblem) return problemWords(problem);
  const key = `js.wallet.problem.${problem.code}`;
  return has(key) ? t(key, problem.facts ?? {}) : t("js.problem", { detail: problem.message });
}

/** Shows a problem; a wallet that is on another chain is offered the way here. */
export function showProblem(said, problem, wallet, again) {
  const parts = [el("p", { class: "notice is-bad" }, wordsOfProblem(problem))];
  if (problem.code === "wrong_chain" && wallet) {
    parts.push(switchButton(said, wallet, problem.facts.expected, again));
  }
  said.replaceChildren(...parts);
  said.scrollIntoView({ block: "nearest" });
}

function switchButton(said, wallet, chainId, again) {
  const go = async () => {
    try {
      const { name, rpc } = await market();
      const rpcUrl = rpc ? new URL(rpc, location.href).href : undefined;
      await switchChain(wallet, chainId, { rpcUrl, name });
      said.replaceChildren();
      await again?.();
    } catch (problem) {
      showProblem(said, problem, wallet, again);
    }
  };
  const words = t("js.wallet.switch", { chain: String(chainId) });
  return el("p", {}, el("button", { type: "button", class: "button", onclick: go }, words));
}

async function attempt(dialog, said, wallet, chainId, close) {
  const buttons = [...dialog.querySelectorAll("button, input")];
  for (const button of buttons) button.disabled = true;
  said.replaceChildren(el("p", { class: "notice" }, t("js.wallet.asking", { wallet: wallet.name })));
  try {
    const connected = await connect(wallet, chainId);
    const me = await logIn(connected);
    keepWallet(connected);
    close({ ...connected, me });
    tellAll(me);
  } catch (problem) {
    showProblem(said, problem, wallet, () => attempt(dialog, said, wallet, chainId, close));
    for (const button of buttons) button.disabled = false;
  }
}

/** Signs in by a text of EIP-4361; its time is the service's, which need not be this browser's. */
async function logIn(connected) {
  const { nonce, date } = await newNonce();
  const message = signInText({
    host: location.host,
    address: connected.address,
    statement: t("js.wallet.statement"),
    uri: `${location.origin}/`,
    chainId: connected.chainId,
    nonce,
    issuedAt: date,
  });
  const signature = await signText(connected, message);
  await send("POST", "/v1/auth/login", { message, signature, cookie: true });
  return get("/v1/me");
}

/** A nonce, and what time it is where it was given out. */
async function newNonce() {
  const answer = await fetch("/v1/auth/nonce", {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json" },
    body: "{}",
  });
  const document = await answer.json();
  if (!answer.ok) throw new ApiProblem({ ...document, status: answer.status, document });
  return { nonce: document.nonce, date: new Date(answer.headers.get("Date") ?? Date.now()) };
}

function tellAll(me) {
  const told = new CustomEvent(CHANGED, { detail: me, cancelable: true });
  // A page that was made for nobody, or for somebody else, is made anew unless it knows better.
  if (document.dispatchEvent(told)) location.reload();
}

async function demoPeople() {
  if (!isDemo) return [];
  const { items } = await get("/v1/demo/wallets");
  // Those come first for whom the page is.
  const wanted = WANTED.find(([path]) => location.pathname.startsWith(path))?.[1] ?? [];
  const rank = ({ kind }) => (wanted.includes(kind) ? 0 : 1);
  return items.sort((one, other) => rank(one) - rank(other));
}

function demoChoice(people, chainId, choose) {
  const input = el("input", {
    id: "demo-name",
    name: "name",
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
    maxlength: "32",
    required: true,
    pattern: NAME,
  });
  const own = (event) => {
    event.preventDefault();
    choose(demoWallet(input.value.trim(), chainId));
  };
  return [
    el("h3", {}, t("js.wallet.demo")),
    el("p", { class: "hint" }, t("js.wallet.demo_says")),
    el(
      "ul",
      { class: "picks people" },
      ...people.map((person) =>
        el("li", {}, choice(personWords(person), () => choose(demoWallet(person.name, chainId)))),
      ),
    ),
    el(
      "form",
      { class: "field", onsubmit: own },
      el("label", { for: input.id }, t("js.wallet.other_name")),
      el("div", { class: "buttons" }, input, el("button", { class: "button" }, t("js.wallet.be"))),
    ),
  ];
}

/** "anna, a driver", "Home 2" and below it "DE_KN_residential1", "The grid operator". */
function personWords({ kind, name, account, title }) {
  const words = t(`js.wallet.person.${kind}`, { name: title, account: String(account) });
  const below = kind === "home" && title !== name ? el("small", {}, title) : null;
  return el("span", {}, words, below);
}

function ownChoice(found, choose) {
  const heading = el("h3", {}, t("js.wallet.own"));
  if (!found.length) return [heading, el("p", {}, t("js.wallet.none"))];
  const items = found.map((wallet) => el("li", {}, choice(wallet.name, () => choose(wallet))));
  return [
    heading,
    el("p", { class: "hint" }, t("js.wallet.own_says")),
    el("ul", { class: "picks" }, ...items),
  ];
}

function choice(words, onclick) {
  return el("button", { type: "button", class: "button", onclick }, words);
}

function closing(close) {
  const button = choice(t("js.wallet.cancel"), () => close(null));
  return el("p", { class: "closing" }, button);
}

/** What somebody who is signed in finds behind the button: who, what they may see, the way out. */
function openAccount(me) {
  return showDialog(t("js.wallet.signed_in"), (dialog, close) => {
    const links = me.roles.filter((role) => has(`js.wallet.role.${role}`));
    const said = el("div", { role: "alert" });
    const leave = async () => {
      try {
        await signOut();
        close();
      } catch (problem) {
        showProblem(said, problem);
      }
    };
    dialog.append(
      el("p", { class: "code" }, checksumAddress(me.address)),
      el(
        "ul",
        { class: "picks" },
        ...links.map((role) => el("li", {}, roleLink(role))),
      ),
      said,
      el(
        "p",
        { class: "buttons" },
        choice(t("js.wallet.sign_out"), leave),
        choice(t("js.wallet.change"), async () => {
          close();
          await openSignIn();
        }),
        choice(t("js.wallet.close"), () => close()),
      ),
    );
  });
}

const PLACES = {
  driver: "/charge",
  member: "/home",
  host: "/home#charged",
  auditor: "/grid",
  operator: "/grid",
};

function roleLink(role) {
  return el("a", { class: "button", href: PLACES[role] }, t(`js.wallet.role.${role}`));
}

function sameAddress(one, other) {
  return one.toLowerCase() === other.toLowerCase();
}

/** Makes a header's button tell who is signed in, and open the dialog. */
export async function wireButtons(buttons) {
  let me = null;
  const show = () => {
    for (const button of buttons) {
      button.textContent = me ? shortAddress(me.address) : t("js.wallet.button");
      if (me) button.setAttribute("aria-label", t("js.wallet.button_as", { who: me.address }));
      else button.removeAttribute("aria-label");
    }
  };
  for (const button of buttons) {
    button.addEventListener("click", () => (me ? openAccount(me) : openSignIn()));
  }
  document.addEventListener(CHANGED, ({ detail }) => {
    me = detail;
    show();
  });
  try {
    me = await identity();
  } catch (problem) {
    if (!(problem instanceof ApiProblem)) throw problem;
  }
  show();
  // Another tab has signed in or out: this one's cookie is the same.
  onWalletChange(async () => tellAll(await identity()));
}
