"""How long a busy host is left alone."""

from email.utils import formatdate

import pytest

from paste_proxy.clock import VirtualClock
from paste_proxy.tools.http.quiet import DEFAULT_S, KEYS, LONGEST_S, QuietHosts

WALL = 1_700_000_000.0


@pytest.mark.parametrize(
    ("status", "retry_after", "rest"),
    [
        (429, "20", 20),
        (503, "20", 20),
        (503, formatdate(WALL + 20, usegmt=True), 20),
        (429, formatdate(WALL - 20, usegmt=True), 0),
        (429, None, DEFAULT_S),
        (429, "soon", DEFAULT_S),
        (429, "999999", LONGEST_S),
        (429, "9" * 400, LONGEST_S),
        (429, "-5", DEFAULT_S),
        (200, "20", 0),
        (500, "20", 0),
    ],
)
def test_the_rest(status: int, retry_after: str | None, rest: float) -> None:
    quiet = QuietHosts(VirtualClock(5.0).now, lambda: WALL)
    quiet.heard("a", status, retry_after)
    assert quiet.left_s("a") == pytest.approx(rest)
    assert quiet.left_s("b") == 0


def test_it_ends_and_a_shorter_one_does_not_cut_it() -> None:
    clock = VirtualClock()
    quiet = QuietHosts(clock.now, lambda: WALL)
    quiet.heard("a", 429, "20")
    clock.advance(5)
    quiet.heard("a", 429, "1")
    assert quiet.left_s("a") == 15
    clock.advance(15)
    assert quiet.left_s("a") == 0


def test_hosts_are_bounded() -> None:
    quiet = QuietHosts(VirtualClock().now, lambda: WALL)
    for number in range(KEYS + 1):
        quiet.heard(f"h{number}", 429, None)
    assert quiet.left_s("h0") == 0
    assert quiet.left_s("h1") > 0
