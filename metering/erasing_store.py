"""Erases readings and names of meters."""

from sqlalchemy import Connection, delete, func, select, update

from metering.reading_rows_store import METER, READING, numbers_of
from metering.readings import MeterId


def erase_between(connection: Connection, meter_id: MeterId, *, first_s: int, last_s: int) -> int:
    """Erases every version of a meter's readings from one instant to another; how many."""
    erased = 0
    for number in numbers_of(connection, [meter_id]).values():
        own = (READING.c.meter_no == number) & READING.c.taken_s.between(first_s, last_s)
        erased += connection.execute(delete(READING).where(own)).rowcount
    return erased


def erase_before(connection: Connection, before_s: int) -> int:
    """Erases every version of all readings up to an instant; how many.

    The last of each meter stays: what comes after is measured from it.
    """
    erased = 0
    for number in numbers_of(connection, None).values():
        own = READING.c.meter_no == number
        last = select(func.max(READING.c.taken_s)).where(own, READING.c.taken_s <= before_s)
        old = own & (READING.c.taken_s < last.scalar_subquery())
        erased += connection.execute(delete(READING).where(old)).rowcount
    return erased


def relabel(connection: Connection, meter_id: MeterId, label: str) -> None:
    """Gives a meter another name."""
    connection.execute(update(METER).where(METER.c.meter_id == meter_id).values(label=label))
