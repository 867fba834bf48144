import math

import pytest

from paste_proxy.predict.adagrad import START, Weights
from paste_proxy.predict.ledger import Ledger


def test_a_weight_moves_against_the_error_and_ever_less() -> None:
    ledger = Ledger()
    weights = Weights(ledger, "weights", "squares", "key")
    moved = []
    for _ in range(3):
        weights.move(["a"], -0.5, 0.4, {"a": 1.0, "b": 9.0})
        moved.append((ledger.find("weights", "key") or {})["a"])
    assert moved[0] == pytest.approx(1.0 + 0.4 * 0.5 / math.sqrt(START + 0.25))
    assert 0 < moved[2] - moved[1] < moved[1] - moved[0]
    assert (ledger.find("squares", "key") or {})["a"] == pytest.approx(START + 0.75)
