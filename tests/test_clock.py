"""Clocks."""

from paste_proxy.clock import SystemClock, VirtualClock


def test_the_system_s_clock_never_goes_back() -> None:
    clock = SystemClock()
    readings = [clock.now() for _ in range(100)]
    assert readings == sorted(readings)


def test_the_virtual_clock_moves_only_when_told_to() -> None:
    clock = VirtualClock(5.0)
    assert clock.now() == clock.now() == 5.0
    clock.advance(2.5)
    assert clock.now() == 7.5
