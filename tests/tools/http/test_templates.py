"""Arguments in paths, queries and bodies."""

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from paste_proxy.errors import InvalidArgumentsError
from paste_proxy.tools.http.templates import (
    body_slots,
    encoded_query,
    filled_body,
    filled_path,
    filled_query,
    fixed_path,
    slots,
)


@pytest.mark.parametrize(
    ("template", "arguments", "path"),
    [
        ("/items/{id}", {"id": "a b/c?d#e"}, "/items/a%20b%2Fc%3Fd%23e"),
        ("/items/{id}.json", {"id": 7}, "/items/7.json"),
        ("/{a}/{b}", {"a": True, "b": "é"}, "/true/%C3%A9"),
        ("/plain", {}, "/plain"),
        ("/{a}", {"a": "{b}"}, "/%7Bb%7D"),
        ("/{a}", {"a": "..."}, "/..."),
        ("/{a}", {"a": "a..b"}, "/a..b"),
    ],
)
def test_a_path(template: str, arguments: dict[str, Any], path: str) -> None:
    assert filled_path("t", template, arguments) == path


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "..",
        "../x",
        "x/..",
        "a/../b",
        "..\\x",
        "%2e%2e",
        "%2e%2e%2fx",
        "%252e%252e%252fx",
        ".%2e",
        None,
        [],
        {},
    ],
)
def test_what_would_be_another_path_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgumentsError, match=r"t: \$\.a: "):
        filled_path("t", "/x/{a}/y", {"a": value})


@pytest.mark.parametrize("template", ["/x/{a}{b}/y", "/x/.{b}"])
def test_a_dot_that_makes_a_way_up_with_its_neighbour_is_refused(template: str) -> None:
    with pytest.raises(InvalidArgumentsError):
        filled_path("t", template, {"a": ".", "b": "."})


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_an_argument_stays_in_its_segment(value: str) -> None:
    try:
        path = filled_path("t", "/x/{a}/y", {"a": value})
    except InvalidArgumentsError:
        return
    url = URL(f"http://h{path}?q=1", encoded=True)
    assert url.raw_parts[:2] == ("/", "x")
    assert len(url.raw_parts) == 4
    assert unquote(url.raw_parts[2]) == value
    assert (url.raw_host, url.raw_query_string, url.raw_fragment) == ("h", "q=1", "")


def test_a_path_is_encoded_but_for_its_slots() -> None:
    assert fixed_path("/a b/{größe}/c%20d/{x}.é") == "/a%20b/{größe}/c%20d/{x}.%C3%A9"
    assert slots("/a/{größe}/{x}.json") == ["größe", "x"]


def test_a_query() -> None:
    query = {
        "q": "{query}",
        "tag": "{tags}",
        "ids": "{ids}",
        "fixed": "a&b",
        "gone": "{absent}",
        "no": "{nothing}",
    }
    arguments = {"query": "x y&z=1", "tags": ["a", 2], "ids": [1, 2], "nothing": None}
    pairs = filled_query("t", query, arguments, frozenset({"ids"}))
    assert encoded_query(pairs) == "q=x%20y%26z%3D1&tag=a&tag=2&ids=1%2C2&fixed=a%26b"


def test_a_query_takes_no_objects() -> None:
    with pytest.raises(InvalidArgumentsError, match=r"\$\.a: can't stand in an address"):
        list(filled_query("t", {"a": "{a}"}, {"a": {"b": 1}}))


def test_a_body() -> None:
    template = {
        "name": "{name}",
        "n": "{n}",
        "deep": ["{n}", {"gone": "{absent}"}, "{absent}"],
        "graphql": "{ a }",
    }
    assert set(body_slots(template)) == {"name", "n", "absent"}
    assert filled_body(template, {"name": "x", "n": {"k": [1]}}) == {
        "name": "x",
        "n": {"k": [1]},
        "deep": [{"k": [1]}, {}],
        "graphql": "{ a }",
    }
    assert filled_body("{n}", {"n": [1]}) == [1]
