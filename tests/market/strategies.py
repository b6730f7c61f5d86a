"""What the market's machine draws from: mostly what is right, and around every limit."""

from hypothesis import strategies as st

from ledger.units import LIMIT_PER_KWH_MAX
from tests.market.drafts import SPOILS
from tests.market.on_chain import MEMBERS, OPERATOR, OWNER, STRANGER
from tests.market.state import Prices

ACCOUNTS = st.sampled_from([0, 1, 2, 2, 2, 3, 3, 4, 4, 5, 9, 99])
BY = st.sampled_from([None] * 12 + [OPERATOR, OWNER, MEMBERS[0], MEMBERS[1], STRANGER])
JITTER_S = st.sampled_from([0, 0, 0, 0, 1, -1])
COMMON_SIZES = ["one", "some", "some", "half", "half", "all", "all+1"]
SIZES = st.sampled_from(COMMON_SIZES * 3 + ["cap", "cap+1", "room", "room+1"])
# One payment at a limit, by somebody who has money; or some of any size.
AT_A_LIMIT = st.tuples(
    st.sampled_from([0, 2, 2, 3]),
    st.sampled_from([3, 4]),
    st.sampled_from(["cap", "cap", "cap+1", "room", "room", "room+1", "all"]),
)
FILLING = [(2, 4, "half of room"), (3, 4, "rest of room")]
TRANSFERS = st.lists(st.tuples(ACCOUNTS, ACCOUNTS, SIZES), max_size=4) | st.one_of(
    AT_A_LIMIT.map(lambda one: [one]), st.just(FILLING), st.just([*FILLING, (0, 4, "one")])
)
AFTER = st.sampled_from(["dispute", "dispute", "dispute", "last", "now", "never"])
FAULTS = st.sampled_from(sorted(SPOILS))
PLACES = st.sampled_from(["low", "middle", "high"])
DEPOSITS_MICRO = st.sampled_from([0, 1, 500_000, 500_000, 800_000, 2**50 // 1_000])
REQUESTS_MICRO = st.sampled_from([0, 1, 100_000, 499_999, 500_000, 500_001, 2**64 - 1])
NONCES = st.sampled_from([1, 1, 1, 0, -1, 2**64])  # Above the last one, but for some.
PRICES = st.sampled_from(
    [
        Prices(grid_import=300_000, grid_export=80_000, fee=20_000, fixed=100_000),
        Prices(grid_import=310_000, grid_export=90_000, fee=0),
        Prices(grid_import=100_000, grid_export=50_000, fee=50_000, fixed=50_000),
        Prices(grid_import=100_000, grid_export=50_001, fee=50_000, fixed=50_000),
        Prices(grid_import=10**8, grid_export=0, fee=0),
        Prices(grid_import=10**8 + 1, grid_export=0, fee=0),
    ]
)
LIMITS_PER_KWH = st.sampled_from([0, 180_000, 200_000, LIMIT_PER_KWH_MAX])
