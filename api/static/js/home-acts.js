// What a member signs at home: limits, a deposit, a withdrawal. Each is shown, signed, handed in.

import { send } from "./api.js";
import { microOf } from "./amounts.js";
import { communityMs, communitySecondsAhead, market } from "./market.js";
import { reviewAndSign } from "./review.js";
import { askThrough, Token } from "./token.js";
import { typed } from "./typed.js";
import { t } from "./words.js";

const NO_LIMIT = 2n ** 64n - 1n;
const PERMIT_REAL_S = 1_800; // How long the service has to bring a permit to the chain.

/** A field that cannot be signed as it stands. */
export class BadInput extends Error {
  constructor(name, sentence) {
    super(sentence);
    this.field = name;
  }
}

/** Each act gives the relay that was handed in, or null if the reader would rather not. */
export const ACTS = { limits: setLimits, deposit: payIn, withdrawal: askForMoney };

async function setLimits(form, connected, account) {
  const { domains } = await market();
  const buyText = form.elements.max_buy.value.trim();
  const maxBuy = buyText === "" ? NO_LIMIT : amountOf(form, "max_buy");
  const message = {
    account: String(account.number),
    validFrom: String(Math.floor((await communityMs()) / 1000)),
    maxBuyPerKwh: String(maxBuy),
    minSellPerKwh: String(amountOf(form, "min_sell")),
    nonce: account.limitsNonce,
  };
  const signature = await reviewAndSign(connected, typed("PriceLimits", domains.market, message), {
    title: t("js.home.limits.title"),
    lead: t("js.home.limits.lead"),
    notes: noted(account),
  });
  const path = `/v1/accounts/${account.number}/limits`;
  return signature && send("PUT", path, { limits: message, signature });
}

async function payIn(form, connected, account) {
  const known = await market();
  const amount_micro = positive(form, "amount");
  const deadline = String(await communitySecondsAhead(PERMIT_REAL_S));
  const permit = await new Token(askThrough(connected.wallet), known.contracts.token).permit({
    owner: connected.address,
    spender: known.contracts.market,
    amountMicro: amount_micro,
    deadline,
    chainId: known.chain_id,
    evenIfAllowed: true,
  });
  const signature = await reviewAndSign(connected, permit, {
    title: t("js.home.deposit.title"),
    lead: t("js.home.deposit.lead", { account: String(account.number) }),
    notes: { spender: t("js.home.deposit.spender", { address: known.contracts.market }) },
  });
  const body = { amount_micro: String(amount_micro), deadline, signature };
  return signature && send("POST", `/v1/accounts/${account.number}/deposits`, body);
}

async function askForMoney(form, connected, account, { takeBack = false } = {}) {
  const { domains } = await market();
  const amount = takeBack ? 0n : positive(form, "amount");
  if (amount * 1000n > account.balanceNano) {
    throw new BadInput("amount", t("js.home.withdraw.too_much"));
  }
  const message = {
    account: String(account.number),
    amountMicro: String(amount),
    nonce: account.withdrawalNonce,
  };
  const kind = takeBack ? "take_back" : "withdraw";
  const signature = await reviewAndSign(connected, typed("Withdrawal", domains.market, message), {
    title: t(`js.home.${kind}.title`),
    lead: t(`js.home.${kind}.lead`),
    notes: noted(account),
  });
  const path = `/v1/accounts/${account.number}/withdrawals`;
  return signature && send("POST", path, { withdrawal: message, signature });
}

/** What the fields that are no amounts stand for, in the dialog that reviews them. */
function noted(account) {
  return { account: t("js.home.account", { account: String(account.number) }) };
}

function amountOf(form, name) {
  const micro = microOf(form.elements[name].value);
  if (micro === null) throw new BadInput(name, t("js.home.bad_amount"));
  return micro;
}

function positive(form, name) {
  const micro = amountOf(form, name);
  if (micro === 0n) throw new BadInput(name, t("js.home.no_amount"));
  return micro;
}
