"""A tool that wastes too much stays at home for a while."""

from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.broker.waste import EVIDENCE, HALF_LIFE_S, KEPT, WasteCap


def wasted(cap: WasteCap, runs: int, tool: str = "read", tenant: str = "t", now: float = 0.0) -> None:
    for _ in range(runs):
        cap.unused(tool, tenant, now)


def test_a_tool_goes_off_above_the_cap_and_back_on_by_calls() -> None:
    cap = WasteCap(2.0)
    wasted(cap, 20)
    for _ in range(9):
        cap.called("read", "t", 0.0)
    assert cap.puts_off("read", "t", 0.0)
    assert cap.off == ["read"]
    for _ in range(8):
        cap.called("read", "t", 0.0)
    assert cap.puts_off("read", "t", 0.0), "at half the cap, not at the cap"
    for _ in range(4):
        cap.called("read", "t", 0.0)
    assert not cap.puts_off("read", "t", 0.0)
    assert cap.off == []


def test_it_comes_back_when_its_waste_has_faded() -> None:
    cap = WasteCap(2.0)
    wasted(cap, 30)
    assert cap.puts_off("read", "t", 0.0)
    assert cap.puts_off("read", "t", HALF_LIFE_S)
    assert not cap.puts_off("read", "t", 2 * HALF_LIFE_S)


def test_little_waste_is_bad_luck() -> None:
    cap = WasteCap(0.5)
    wasted(cap, int(EVIDENCE) - 1)
    assert not cap.puts_off("read", "t", 0.0)


def test_a_tenant_that_wastes_is_put_off_alone() -> None:
    cap = WasteCap(2.0)
    for number in range(4):
        wasted(cap, 10, f"tool{number}", "wasteful")
    assert cap.puts_off("tool0", "wasteful", 0.0)
    assert not cap.puts_off("tool0", "other", 0.0)


def test_without_a_cap_nothing_is_put_off() -> None:
    cap = WasteCap(0.0)
    wasted(cap, 999)
    assert not cap.puts_off("read", "t", 0.0)


def test_what_is_known_is_bounded() -> None:
    cap = WasteCap(1.0)
    for number in range(KEPT):
        cap.unused(f"tool{number}", "t", 0.0)
    assert len(cap._counts) == KEPT


@given(st.lists(st.tuples(st.sampled_from(["unused", "called"]), st.floats(0, 900)), max_size=200))
def test_a_tool_is_never_off_below_half_the_cap(history: list[tuple[str, float]]) -> None:
    cap, now = WasteCap(3.0), 0.0
    for what, seconds in history:
        now += seconds
        getattr(cap, what)("read", "t", now)
        counts = cap._counts["tool", "read"]
        if cap.puts_off("read", "t", now):
            assert counts.unused >= 1.5 * counts.calls
        else:
            assert counts.unused <= max(EVIDENCE, 3.0 * counts.calls)
