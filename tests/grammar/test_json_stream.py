import itertools
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paste_proxy.grammar import json_stream
from paste_proxy.grammar.events import Path
from paste_proxy.grammar.json_stream import (
    DEPTH_LIMIT,
    REPORT_LIMIT,
    Grown,
    JsonStream,
    Sealed,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=6), VALUES, max_size=4)
CUTS = st.lists(st.integers(0, 400), max_size=8)
TOKENS = st.sampled_from(
    [
        *("{", "}", "[", "]", ",", ":", '"', '"a":', '"b":', '"x"', " ", "\n", "\\"),
        *("1", "-", "0", ".5", "e9", "1e400", "9" * 40, "true", "nul", "null", "NaN", "Infinity", "'"),
        *("\\n", "\\u00e9", "\\ud83d", "\\ude00", "\\uD8", "\\/", "é", "\U0001f600", "\ud800", "\x00", "\x7f"),
        *('{"a":1}', "[1,2]"),
    ]
)
JSONISH = st.lists(TOKENS, max_size=14).map("".join)


def pieces(text: str, cuts: Sequence[int]) -> list[str]:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(places)]


def read(*texts: str, stream: JsonStream | None = None) -> JsonStream:
    """Feeds on until it stops; `found` keeps everything, strings merged."""
    stream = stream or JsonStream()
    for text in texts:
        if stream.feed(text) < len(text):
            break
    stream.found = merged(stream.found)
    return stream


def merged(found: list[Grown | Sealed]) -> list[Grown | Sealed]:
    out: list[Grown | Sealed] = []
    for one in found:
        last = out[-1] if out else None
        if isinstance(one, Grown) and isinstance(last, Grown) and one.path == last.path:
            out[-1] = Grown(one.path, last.text + one.text)
        else:
            out.append(one)
    return out


def told(value: Any, path: Path = ()) -> Iterator[Grown | Sealed]:
    """What a reader is to say of a whole value, told by walking through it."""
    if isinstance(value, str) and value:
        yield Grown(path, value)
    for key, item in value.items() if isinstance(value, dict) else ():
        yield from told(item, (*path, key))
    for place, item in enumerate(value) if isinstance(value, list) else ():
        yield from told(item, (*path, place))
    if path:
        yield Sealed(path, value)


def exact(value: Any) -> str:
    """Tells 1 from 1.0 and from True."""
    return repr(value)


def is_object(text: str) -> bool:
    """By other people's parsers: one valid object, and no key twice."""

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError
        return dict(pairs)

    try:
        msgspec.json.decode(text, type=dict)
        json.loads(text, object_pairs_hook=distinct)
    except (msgspec.DecodeError, ValueError):
        return False
    return True


@given(OBJECTS, st.booleans(), st.sampled_from([None, 1]), CUTS)
def test_however_it_is_cut_each_value_is_told(
    value: dict[str, Any], escape: bool, indent: int | None, cuts: list[int]
) -> None:
    text = json.dumps(value, ensure_ascii=escape, indent=indent)
    for texts in (pieces(text, cuts), list(text)):
        stream = read(*texts)
        assert (stream.complete, stream.fault) == (True, "")
        assert exact(stream.value) == exact(value)
        assert exact(stream.found) == exact(list(told(value)))


@given(JSONISH, CUTS)
@example('{"a":"\\ud83d', [8, 9])
@example('{"a":"\ud83dx"}', [])
@example('{"a":1,"a":2}', [])
@example('{"a":"\\ud83d\\ude00"}', [8, 13, 15])
@example('{"":"\\ud8' + "0" * 4 + '"}', [])
def test_what_is_refused_is_what_other_parsers_refuse_and_no_cut_matters(text: str, cuts: list[int]) -> None:
    whole = JsonStream()
    stop = whole.feed(text)
    # White space alone may follow an object.
    assert (whole.complete and not text[stop:].strip(" \t\r\n")) == is_object(text)
    for texts in (pieces(text, cuts), list(text)):
        stream, at = JsonStream(), 0
        for piece in texts:
            took = stream.feed(piece)
            at += took
            if took < len(piece):
                break
        assert (stream.complete, stream.fault, at) == (whole.complete, whole.fault, stop)
        assert exact(merged(stream.found)) == exact(merged(whole.found))


@given(VALUES, CUTS)
def test_values_other_than_objects(value: Any, cuts: list[int]) -> None:
    stream = read(*pieces(json.dumps(value), cuts), stream=JsonStream(root_object=False))
    stream.end()
    assert exact(stream.value) == exact(value)
    assert stream.complete
    assert exact(stream.found) == exact(list(told(value)))


def test_each_value_is_told_with_its_last_character() -> None:
    stream = JsonStream()
    told_at: dict[int, list[Grown | Sealed]] = {}
    for at, char in enumerate('{"s":"ab","n":12,"t":true,"l":[1,{}]}'):
        stream.feed(char)
        for one in stream.found:
            told_at[at] = [*told_at.get(at, []), one]
        stream.found.clear()
    assert told_at == {
        6: [Grown(("s",), "a")],
        7: [Grown(("s",), "b")],
        8: [Sealed(("s",), "ab")],
        16: [Sealed(("n",), 12)],  # The comma: there might have been more digits.
        24: [Sealed(("t",), value=True)],
        32: [Sealed(("l", 0), 1)],
        34: [Sealed(("l", 1), {})],
        35: [Sealed(("l",), [1, {}])],
    }


def test_it_stops_just_behind_the_value_and_reads_from_where_it_is_told() -> None:
    stream = JsonStream()
    text = '<call>{"a":{}}</call>{"b":1}'
    assert stream.feed(text, 6) == 14
    assert stream.value == {"a": {}}
    assert stream.feed(text, 14) == 14
    assert stream.feed("more") == 0
    root = JsonStream(root_object=False)
    assert root.feed("12 ") == 2
    assert root.value == 12


def test_an_escape_waits_for_its_end() -> None:
    stream = JsonStream()
    stream.feed('{"a":"x\\ud83d\\ude')
    assert stream.found == [Grown(("a",), "x")]
    stream.feed("00y")
    assert stream.found[1:] == [Grown(("a",), "\U0001f600y")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[1]", "not a JSON object"),
        ("x", "not a JSON object"),
        ('{"a":1,"a":2}', "duplicate keys"),
        ('{"b":{"a":1,"\\u0061":1}}', "duplicate keys"),
        ("{]", "no key"),
        ("{,", "no key"),
        ('{"a":1,}', "no key"),
        ("{'a':1}", "no key"),
        ('{"a"1', "no colon"),
        ('{"a":}', "no value"),
        ('{"a":[1,]}', "no value"),
        ('{"a":trux', "no value"),
        ('{"a":NaN}', "no value"),
        ('{"a":1 2', "no comma"),
        ('{"a":[1}', "no comma"),
        ('{"a":01}', "invalid number"),
        ('{"a":1.}', "invalid number"),
        ('{"a":1e400}', "out of range"),
        ('{"a":' + "1" * 4301 + "}", "out of range"),
        ('{"a":"\n"}', "control character"),
        ('{"a":"\\x', "invalid escape"),
        ('{"a":"\\ud800"', "invalid escape"),
        ('{"a":"\\udc00"', "invalid escape"),
        ('{"\ud800":1}', "surrogate"),
    ],
)
def test_faults_say_why_and_stay(text: str, why: str) -> None:
    stream = JsonStream()
    stop = stream.feed(text)
    assert why in stream.fault
    assert stop < len(text)
    assert stream.feed("1") == 0
    assert not stream.complete


@pytest.mark.parametrize("text", ["", " ", '"a', "[1", "-", "tru", "{"])
def test_what_ends_too_early_is_a_fault(text: str) -> None:
    stream = JsonStream(root_object=False)
    stream.feed(text)
    before = stream.fault
    stream.end()
    assert (before, stream.complete) == ("", False)
    assert stream.fault


def test_nesting_is_bounded() -> None:
    assert not read('{"a":' * DEPTH_LIMIT).fault
    assert "nested" in read('{"a":' * DEPTH_LIMIT + "{").fault
    assert read('{"a":' + "[" * (DEPTH_LIMIT - 1) + "]" * (DEPTH_LIMIT - 1) + "}").complete


def test_what_is_told_is_bounded_and_what_is_read_is_not() -> None:
    values = ["x"] * (REPORT_LIMIT + 10)
    for texts in ([json.dumps({"a": values})], list(json.dumps({"a": values}))):
        stream = read(*texts)
        assert stream.value == {"a": values}
        assert len(stream.found) == 2 * REPORT_LIMIT


def test_values_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "VALUE_LIMIT", 5)
    assert read('{"a":[1,{},[]]}').complete
    for texts in (['{"a":[1,{},[],2]}'], list('{"a":[1,{},[],2]}')):
        stream = read(*texts)
        assert "more than 5 values" in stream.fault
        assert stream.found[-1] == Sealed(("a", 2), [])


MANY = 300_000
LONG = {
    "string": '{"a":"' + "x" * MANY + '"}',
    "line ends": '{"a":"' + "\\n" * MANY + '"}',
    "surrogate pairs": '{"a":"' + "\\ud83d\\ude00" * (MANY // 12) + '"}',
    "backslashes": '{"a":"' + "\\" * MANY,
    "key": '{"' + "k" * MANY + '":1}',
    "keys": "{" + ",".join(f'"{n}":1' for n in range(MANY // 9)) + "}",
    "numbers": '{"a":[' + "1," * MANY + "1]}",
    "digits": '{"a":0.' + "1" * MANY + "}",
    "signs": '{"a":' + "-" * MANY + "}",
    "brackets": '{"a":' + "[" * MANY,
    "deep lists": '{"a":' + "[" * 120 + "[]," * (MANY // 3),
    "blanks": " " * MANY + "{" + " " * MANY + "}",
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in LONG.items()])
def test_time_is_linear(text: str) -> None:
    """In one piece and character by character; quadratic time would be hours here."""
    begun = time.process_time()
    whole, parts = JsonStream(), JsonStream()
    whole.feed(text)
    for char in text:
        parts.feed(char)
    assert (parts.complete, parts.fault) == (whole.complete, whole.fault)
    assert time.process_time() - begun < 20
