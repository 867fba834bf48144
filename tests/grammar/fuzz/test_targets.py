"""The same targets in every test run: few inputs, made of pieces of right ones and of anything."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.grammar.fuzz.seeds import seeds, words
from tests.grammar.fuzz.targets import TARGETS, Input, unpacked

EXAMPLES = 40
"""Of each target: the deep search is atheris's."""


@st.composite
def broken(draw: st.DrawFn, right: list[bytes], known: list[bytes]) -> bytes:
    """Pieces of right inputs, put together anyhow, with anything between them."""
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        seed = draw(st.sampled_from(right))
        start = draw(st.integers(0, len(seed)))
        parts.append(seed[start : draw(st.integers(start, len(seed)))])
        parts += draw(st.lists(st.sampled_from(known) | st.binary(max_size=4), max_size=4))
    return b"".join(parts)


@pytest.mark.parametrize("name", TARGETS)
def test_right_inputs(name: str) -> None:
    for seed in seeds(name):
        TARGETS[name](unpacked(seed))


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_anything(name: str, data: st.DataObject) -> None:
    right = [unpacked(seed).data for seed in seeds(name)]
    lengths = st.lists(st.integers(1, 40), max_size=4)
    TARGETS[name](
        Input(data.draw(broken(right, words(name))), data.draw(lengths), data.draw(st.integers(0, 3)))
    )


def test_an_input_says_how_it_is_cut() -> None:
    assert unpacked(b"\x0a\x06\x02abc") == (b"abc", [7, 3], 1)
    assert unpacked(b"") == (b"", [], 0)
