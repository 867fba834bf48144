from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.shapes import (
    MENTIONS,
    Path,
    Trail,
    addresses,
    is_field,
    is_record,
    is_tool,
    leaves,
    paths,
)
from paste_proxy.predict.values import Key

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


def test_addresses_lose_the_sentence_around_them() -> None:
    text = '(https://a.b/c), <http://d.e>, [x](https://f.g/h?i=j&k=l#m). "https://a.b/c" ftp://no.no http://'
    assert addresses(text) == ("https://a.b/c", "http://d.e", "https://f.g/h?i=j&k=l#m")


def test_paths_have_a_slash_or_an_extension() -> None:
    text = "in /etc/hosts, ./a/b.py:3:def f(), lib and README.md, ~/x/; https://no.no/path e.g. 3.14 v1.2 dir/"
    assert paths(text) == ("/etc/hosts", "./a/b.py", "README.md", "~/x/")


def test_mentions_are_bounded_and_distinct() -> None:
    text = "".join(f"a/{number} a/{number} " for number in range(1000))
    assert paths(text) == tuple(f"a/{number}" for number in range(MENTIONS))


@pytest.mark.parametrize(
    "name", ["id", "user_id", "line1", "base64", "@type", "$ref", "camelCase", "with-dash"]
)
def test_fields(name: str) -> None:
    assert is_field(name)


@pytest.mark.parametrize(
    "name", ["", "a b", "u-4421", "ann@x.org", "2024-01-01", "a.b", "a/b", "x" * 41, "ключ", "sha256", 1, None]
)
def test_data_is_no_field(name: Any) -> None:
    assert not is_field(name)


def test_tool_names() -> None:
    assert is_tool("mcp__server__open")
    assert is_tool("fs.read-file")
    assert not is_tool("open the page")
    assert not is_tool("")


def test_records_and_maps() -> None:
    assert is_record({})
    assert is_record({"id": 1, "tags": []})
    assert is_record({"data": {"user": 1}})
    assert is_record({"user": {"id": 1}, "page": {"number": 1}})
    assert not is_record({"ann": {"age": 1}, "bob": {"age": 2}})
    assert not is_record({"id": 1, "order 7": 2})
    assert not is_record({f"f{chr(97 + n // 26)}{chr(97 + n % 26)}": n for n in range(65)})


def found(value: Any) -> list[tuple[Path, Key | None]]:
    return [(trail.path, key) for trail, key in leaves(value, Trail())]


def test_leaves_come_in_document_order_and_maps_have_no_keys() -> None:
    value = {"results": [{"id": 1, "ok": True}, {"id": 2.5}], "by_id": {"u-4421": {"n": "x"}}}
    assert found(value) == [
        (("results", None, "id"), ("int", 1)),
        (("results", None, "ok"), None),
        (("results", None, "id"), ("float", 2.5)),
        (("by_id", None, "n"), ("str", "x")),
    ]


def test_content_is_no_leaf() -> None:
    assert found(["x" * 2000, "y", None]) == [((None,), ("str", "y")), ((None,), None)]


def test_what_stands_alike_has_one_trail() -> None:
    trails = [trail for trail, _ in leaves({"rows": [{"a": 1, "b": 2}, {"a": 3}, {"c": 4}]}, Trail())]
    assert trails[0] is trails[2]
    assert len(set(trails)) == 3


@settings(max_examples=50, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "no field"]), JSON, max_size=3), max_size=6))
def test_a_trail_tells_records_as_they_are(objects: list[dict[str, Any]]) -> None:
    """Whatever stood there before."""
    trail = Trail()
    assert [trail.is_record(one) for one in objects] == [is_record(one) for one in objects]


def test_walks_are_bounded() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    assert found(deep) == []
    assert len(found(list(range(1_000_000)))) < 2000
    for _ in range(100_000):
        deep = deep[0]  # taken apart step by step: the interpreter frees nested lists recursively
