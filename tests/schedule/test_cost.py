"""What the queue's operations cost, far from their target: a test machine has other work."""

import pytest

from benchmarks.schedule import OPERATIONS, POLICIES, TARGET_US, lines, measure

MANY = 10_000


@pytest.mark.parametrize("policy", POLICIES)
def test_with_many_waiting_an_operation_costs_little(policy: str) -> None:
    """An operation that looked at all of them would take a millisecond."""
    found = measure(MANY, 100, [policy])
    for kind in ("turns", "runs"):
        operations = found["policies"][policy][kind]
        assert tuple(operations) == OPERATIONS[kind]
        assert all(one["p50"] < 10 * TARGET_US for one in operations.values()), operations
    assert len(lines(found)) == 2
