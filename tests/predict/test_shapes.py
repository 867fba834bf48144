from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.shapes import (
    MENTIONS,
    addresses,
    every_item,
    exact,
    is_field,
    is_record,
    is_tool,
    leaves,
    paths,
    readable,
    select,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


def test_equality_is_exact_in_type() -> None:
    keys = [exact(value) for value in (1, 1.0, True, "1", None, 0, False, 2**70)]
    assert len(set(keys)) == len(keys)
    assert exact(2**70) == exact(2**70)


@pytest.mark.parametrize("value", [[], {}, ["a"], "x" * 2000, b"bytes", object()])
def test_containers_and_content_are_not_references(value: Any) -> None:
    assert exact(value) is None


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


def test_leaves_come_in_document_order_and_maps_have_no_keys() -> None:
    value = {"results": [{"id": 1, "ok": True}, {"id": 2.5}], "by_id": {"u-4421": {"n": "x"}}}
    assert leaves(value) == [
        (("results", 0, "id"), (int, 1)),
        (("results", 0, "ok"), (bool, True)),
        (("results", 1, "id"), (float, 2.5)),
        (("by_id", None, "n"), (str, "x")),
    ]


def test_select_follows_fields_items_and_all_items() -> None:
    value = {"rows": [{"cells": [1, 2]}, {"cells": [3]}, "odd"], "map": {"k 1": {"n": 1}, "k 2": {"n": 2}}}
    assert select(value, ("rows", None, "cells", None)) == [1, 2, 3]
    assert select(value, ("rows", 1, "cells", 0)) == [3]
    assert select(value, ("map", None, "n")) == [1, 2]
    assert select(value, ("rows", -1)) == []
    assert select(value, ("rows", 9)) == []
    assert select(value, (None,)) == []
    assert select("text", ("rows",)) == []


@settings(max_examples=50, deadline=None)
@given(JSON)
def test_every_leaf_is_found_again_at_its_path(value: Any) -> None:
    for path, key in leaves(value):
        found = [exact(item) for item in select(value, path)]
        assert any(item == key or repr(item) == repr(key) for item in found)
        assert repr(key) in map(repr, map(exact, select(value, every_item(path))))


def test_walks_are_bounded() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    assert leaves(deep) == []
    assert len(leaves(list(range(1_000_000)))) < 2000
    assert len(select([list(range(1000))] * 1000, (None, None))) < 2000
    for _ in range(100_000):
        deep = deep[0]  # taken apart step by step: the interpreter frees nested lists recursively


def test_paths_are_readable() -> None:
    assert readable(("results", None, "name")) == "$.results[*].name"
    assert readable((0, "a")) == "$[0].a"
