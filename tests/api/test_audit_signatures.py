"""A key that is changed while its meter speaks is no discrepancy; one that speaks on is."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from api.jobs.audit import audit
from api.jobs.audit_report import AuditReport
from api.jobs.community import Community
from api.jobs.create import meter_key
from api.jobs.evidence import Evidence, KnownReading, evidence_of
from ledger.chain import registry
from ledger.keccak import address_of
from ledger.units import from_unix_s
from metering.readings import MeterId, Reading, SignedReading
from metering.signing import sign_reading, verify_many
from tests.api.community_worlds import DAY_S, START_S, community_of, document, quiet

NEW_KEY = bytes(31) + b"\x09"


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    home = tmp_path_factory.mktemp("signatures") / "data"
    with community_of(home, document(["one"])) as community:
        yield community


def rotated(community: Community) -> tuple[int, MeterId]:
    """The meter gets another key, from now on; says since when."""
    [meter_id] = community.book().meters()
    at_s = max(community.now_s(), START_S) + 10
    data = registry.begin(
        meter_id=meter_id,
        key=address_of(NEW_KEY),
        account=2,
        meter_class=registry.MeterClass.GATEWAY,
        limit_w=10_000,
        valid_from_s=at_s,
    )
    to = community.contracts.registry
    community.execute([community.intent("rotate", data, to=to, role="registrar", at_s=at_s - 5)])
    return at_s, meter_id


def signed(community: Community, meter_id: MeterId, taken_s: int, key: bytes) -> SignedReading:
    reading = Reading(
        meter_id=meter_id, taken_at=from_unix_s(taken_s), import_wh=taken_s - START_S, export_wh=0
    )
    return sign_reading(reading, key, community.reading_domain)


def audited(community: Community, evidence: Evidence, *readings: KnownReading) -> AuditReport:
    return audit(community.chain, replace(evidence, readings=readings), progress=quiet)


def test_an_old_key_is_believed_only_as_long_as_nobody_could_know(community: Community) -> None:
    old_key = community.keys.secret(meter_key("one"))
    before = community.book()
    at_s, meter_id = rotated(community)
    taken = signed(community, meter_id, at_s + 30, old_key)
    checked = verify_many([taken], before, community.reading_domain)
    result = community.readings.take(
        checked,
        book=before,  # As it was known a moment ago.
        now_at=community.system_now(),
        accepted_at=from_unix_s(at_s + 30),
    )
    assert result.accepted == 1
    evidence = evidence_of(community)
    kept = list(evidence.readings)
    report = audited(community, evidence, *kept)
    assert report.discrepancies == []
    assert [each.where.startswith("reading 0x") for each in report.remarks] == [True]

    late = signed(community, meter_id, at_s + 700, old_key)
    report = audited(community, evidence, KnownReading(signed=late, accepted_at_s=at_s + 700))
    assert ["bad_signature" in each.detail for each in report.discrepancies] == [True]
    # To claim that it was accepted earlier does not help: it had not been taken by then.
    report = audited(community, evidence, KnownReading(signed=late, accepted_at_s=at_s - 100))
    assert len(report.discrepancies) == 1
    report = audited(community, evidence, KnownReading(signed=late, accepted_at_s=at_s + DAY_S))
    assert len(report.discrepancies) == 1
    new = signed(community, meter_id, at_s + 700, NEW_KEY)
    report = audited(community, evidence, KnownReading(signed=new, accepted_at_s=at_s + 700))
    assert (report.discrepancies, report.remarks) == ([], [])


def test_a_key_that_was_never_the_meters_is_a_discrepancy_at_any_time(
    community: Community,
) -> None:
    [meter_id] = community.book().meters()
    foreign = signed(community, meter_id, START_S + 20, bytes(31) + b"\x55")
    evidence = evidence_of(community)
    report = audited(community, evidence, KnownReading(signed=foreign, accepted_at_s=START_S + 20))
    assert ["bad_signature" in each.detail for each in report.discrepancies] == [True]
