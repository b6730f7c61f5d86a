// From a file's text to four ticks on the page: reads, asks the chain, shows.

import { ApiProblem, get } from "./api.js";
import { MarketReader, overHttp, overWallet } from "./chain-reader.js";
import { el } from "./dom.js";
import { NotJson, parseExact } from "./exact-json.js";
import { market } from "./market.js";
import { BadStatement, instantText, statementOf } from "./statement.js";
import { failure, verification } from "./verify-view.js";
import { verify } from "./verify.js";
import { walletInUse } from "./wallet.js";
import { instant, t } from "./words.js";

const OWN_RPC = "/rpc";
const RECEIPT = "wattledger.receipt/1";

/** Verifies a statement's text and shows what came out in a container: whether it passed. */
export async function verifyInto(container, text, { rpcUrl = "", named = false } = {}) {
  container.replaceChildren(el("p", { class: "quiet", role: "status" }, t("js.verify.checking")));
  let statement;
  try {
    const document = parseExact(text);
    if (document?.format === RECEIPT) return await receiptInto(container, text, rpcUrl);
    statement = statementOf(document);
  } catch (problem) {
    if (!(problem instanceof BadStatement || problem instanceof NotJson)) throw problem;
    container.replaceChildren(failure(t("js.verify.unreadable", { problem: problem.message })));
    return false;
  }
  const { asked, chain } = await chainOf(statement, rpcUrl);
  const outcome = await verify(statement, chain);
  const shown = verification(statement, outcome, asked);
  container.replaceChildren(...(named ? [headingOf(statement), shown] : [shown]));
  return outcome.passed;
}

/** A receipt of a charge has four ticks of its own. */
async function receiptInto(container, text, rpcUrl) {
  const { checkReceipt, shown } = await import("./charge-check.js");
  const { chain_id: chainId, contracts, rpc } = await market();
  const [ask] = rpcUrl || rpc ? [overHttp(rpcUrl || OWN_RPC)] : await walletsNode(chainId);
  try {
    const ours = { chainId, escrow: contracts.escrow };
    const ticks = await checkReceipt(JSON.parse(text), ours, ask);
    container.replaceChildren(shown(ticks));
    return ticks.every((tick) => tick.wrong === null);
  } catch (problem) {
    // Whatever is missing in it, or whoever does not answer: it was not checked.
    container.replaceChildren(failure(t("js.verify.unreadable", { problem: problem.message })));
    return false;
  }
}

/** Whom to ask about a statement: the node that was named, this service's chain, or the wallet's node. */
async function chainOf(statement, rpcUrl) {
  const known = await market();
  const [ask, asked] = rpcUrl
    ? [overHttp(rpcUrl), rpcUrl]
    : known.rpc
      ? [overHttp(OWN_RPC), t("js.verify.asked.service")]
      : await walletsNode(known.chain_id);
  if (ask === null) return { asked, chain: null };
  return {
    asked,
    chain: {
      reader: new MarketReader(ask, statement.market),
      market: known.contracts.market,
      runs: await runsOf(statement),
    },
  };
}

async function walletsNode(chainId) {
  const connected = await walletInUse(chainId);
  const ask = connected && !connected.wallet.isDemo ? overWallet(connected.wallet.provider) : null;
  return [ask, t("js.verify.asked.wallet")];
}

/** Where to look for the transactions of a period's runs. What they say is the chain's to say. */
async function runsOf(statement) {
  try {
    const period = await get(`/v1/periods/${instantText(statement.period_start_s)}`);
    return period.runs;
  } catch (problem) {
    if (problem instanceof ApiProblem) return [];
    throw problem;
  }
}

function headingOf(statement) {
  const facts = {
    account: String(statement.account),
    start: instant(instantText(statement.period_start_s)),
    run: String(statement.run),
  };
  return el("h2", {}, t("js.verify.statement_of", facts));
}
