"""The demo's receipts: written once the charges' days are settled, and verified one by one."""

import json
from collections.abc import Callable
from functools import partial

from api.files import write_whole
from api.jobs.charging.receipts import Receipts
from api.jobs.community import Community
from api.jobs.demo_charging import ChargingResult
from api.jobs.verify_receipt import EscrowFacts, verify_receipt
from charging.orders import SessionId
from charging.receipt_file import receipt_from_json
from charging.sessions import ChargeSession
from charging.store import ChargingStore, Connection

Progress = Callable[[str, int, int], None]


def write_receipts(community: Community, result: ChargingResult, progress: Progress) -> None:
    """Writes every receipt, and checks each against the chain as its driver would."""
    store = ChargingStore(community.engine)
    receipts = Receipts(community, store)
    facts = EscrowFacts(community.chain, community.contracts.escrow)
    for place, view in enumerate(result.views):
        session = store.run(partial(_session, store, view.session_id))
        if session is None:
            raise LookupError(view.session_id.hex())
        document = receipts.of(session)
        name = f"{session.session_id.hex()[:16]}.json"
        write_whole(community.directory.receipts_path / name, json.dumps(document, indent=1) + "\n")
        verdict = verify_receipt(receipt_from_json(document), facts)
        if verdict.passed:
            result.verified += 1
        else:
            result.failed.append(f"{name} does not verify")
        sun_wh = document["sun_wh"]
        result.sun_wh += sun_wh if isinstance(sun_wh, int) else 0
        progress("receipts verified", place + 1, len(result.views))


def _session(
    store: ChargingStore, session_id: SessionId, connection: Connection
) -> ChargeSession | None:
    return store.session(connection, session_id)
