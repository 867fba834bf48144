"""Up and down with hysteresis: transcripts of answers."""

import pytest

from paste_proxy.backends.health import Health

DEEDS = {
    "f": lambda health: health.failed("no answer"),
    "e": lambda health: health.erred(500),
    "a": lambda health: health.answered(),
    "p": lambda health: health.answered(probe=True),
    "r": lambda health: health.ruled_out("it is no LLM server"),
}


@pytest.mark.parametrize(
    ("story", "up"),
    [
        ("", ""),
        ("ff", "11"),
        ("fff", "110"),
        ("ffaff", "11111"),
        ("ffffa", "11000"),
        ("fffaa", "11001"),
        ("fffpp", "11001"),
        ("fffafaa", "1100001"),
        ("fffaaff", "1100111"),
        ("fffaafff", "11001110"),
        ("eeeee", "11110"),
        ("eeeaee", "111111"),
        ("eepeepe", "1111110"),
        ("eeeeepp", "1111001"),
        ("eeeeeppeeeee", "111100111110"),
        ("feffee", "111000"),
        ("rrpp", "0001"),
        ("rprpp", "00001"),
    ],
)
def test_a_transcript(story: str, up: str) -> None:
    """f: a failure, e: an error, a: an answer to a request, p: one to a probe, r: one that no LLM server
    gives."""
    health, seen = Health(), ""
    for deed in story:
        before = health.up
        changed = DEEDS[deed](health)
        assert changed == (health.up != before)
        seen += str(int(health.up))
    assert seen == up


def test_it_says_why_it_is_down() -> None:
    health = Health()
    for _ in range(3):
        health.failed("no answer")
    assert health.reason == "no answer"
    health.answered()
    health.answered()
    assert health.reason == ""
