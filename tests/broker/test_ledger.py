"""Book-keeping."""

import pytest

from paste_proxy.broker.ledger import KEPT, SERVICE_WEIGHT, Ledger


def test_a_tool_s_mean_follows_its_newest_times() -> None:
    ledger = Ledger()
    ledger.served("read", 1.0)
    ledger.served("read", 2.0)
    assert ledger.service_s == {"read": pytest.approx(1.0 + SERVICE_WEIGHT)}


def test_the_times_of_as_many_tools_as_may_be_are_kept_those_used_last() -> None:
    ledger = Ledger()
    for number in range(KEPT):
        ledger.served(f"tool{number}", 1.0)
    ledger.served("tool0", 1.0)
    ledger.served("another", 1.0)
    assert len(ledger.service_s) == KEPT
    assert "tool0" in ledger.service_s
    assert "tool1" not in ledger.service_s
