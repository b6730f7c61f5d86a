"""Names in files and tables: an account's and those of its meters give way to numbers."""

from collections.abc import Mapping

from sqlalchemy import Connection

from api.config import CommunityConfig
from api.jobs.community import Community
from api.jobs.create import meter_id_name, meter_key
from api.jobs.forgetting.people_store import paired_by, relabel_pairing
from ledger.units import FIRST_MEMBER, AccountId
from metering.erasing_store import relabel
from metering.readings import MeterId

Labels = dict[str, str]  # New labels by the old ones.


def nameless(meter_id: MeterId) -> str:
    """What a meter is called whose name was erased."""
    return f"meter-{meter_id.hex()[:12]}"


def named_meters(community: Community, account: AccountId) -> dict[MeterId, str]:
    """An account's meters with a name that tells something; chargers' tell nothing of people."""
    own = {term.meter_id for term in community.book().terms_of_account(account)}
    chargers = {each.label for each in community.config.all_meters()} - {
        each.label for each in community.config.meters
    }
    return {
        meter.meter_id: meter.label
        for meter in community.readings.meters()
        if meter.meter_id in own
        and meter.label is not None
        and meter.label not in {nameless(meter.meter_id), *chargers}
    }


def take_names_off(
    connection: Connection, account: AccountId, named: Mapping[MeterId, str]
) -> Labels:
    """Gives meters nameless labels, and whatever else an account asked to be one."""
    for meter_id in named:
        relabel(connection, meter_id, nameless(meter_id))
    # Those that were refused, or still wait, as well: they have no meter.
    for asked_id in map(MeterId, paired_by(connection, account)):
        relabel_pairing(connection, account, asked_id, nameless(asked_id))
    return {label: nameless(meter_id) for meter_id, label in named.items()}


def rename_in_files(community: Community, account: AccountId, labels: Labels) -> None:
    """The same in the configuration, and in the names of keys."""
    community.keys.rename(
        {name(old): name(new) for old, new in labels.items() for name in (meter_key, meter_id_name)}
    )
    config = community.config
    accounts = list(config.accounts)
    place = account - FIRST_MEMBER
    if 0 <= place < len(accounts):
        accounts[place] = accounts[place].model_copy(update={"name": f"Account {account}"})
    renamed = config.model_copy(
        update={
            "accounts": accounts,
            "meters": [
                meter.model_copy(update={"label": labels.get(meter.label, meter.label)})
                for meter in config.meters
            ],
        }
    )
    checked = CommunityConfig.model_validate_json(renamed.model_dump_json())
    community.directory.rewrite_config(checked.model_dump_json())
    for path in community.directory.statements_path.glob(f"{account}-*.json"):
        path.unlink()
