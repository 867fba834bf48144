"""What may leave ahead of the model: whole values out of one place, and no secrets."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.broker.egress import host_of, looks_secret, refusal
from paste_proxy.config import NetworkConfig
from paste_proxy.predict.model import History, Said
from paste_proxy.predict.signatures import finished_call
from paste_proxy.tools.hosts import is_listed
from paste_proxy.tools.spec import ToolSpec

SCHEMA = {
    "type": "object",
    "properties": {
        "url": {"type": "string"},
        "query": {"type": "string"},
        "page": {"type": "integer"},
        "depth": {"type": "integer", "minimum": 1, "maximum": 9},
        "kind": {"type": "string", "enum": ["web", "news"]},
        "lang": {"type": "string", "default": "en"},
        "ids": {"type": "array"},
    },
}
FETCH = ToolSpec("fetch", "", SCHEMA, network=True)
ANY = NetworkConfig(hosts=("*",))
PAGE = """Read https://docs.example.org/a/b?c=1, then see order 4711-X. The code word is tulip.
Next line of the page"""
FOUND = {
    "results": [{"url": "https://example.com/1", "title": "A title of words", "rank": 7}],
    "api_key": "tulip77",
}


def history(*outputs: Any, user: str = "look up 'the red house' for me") -> History:
    texts = [one if isinstance(one, str) else json.dumps(one) for one in outputs]
    calls = [finished_call("read", {}, text) for text in texts]
    return History(calls=calls, said=[Said("user", user, 0), Said("assistant", "I think of secretplan", 0)])


def why(arguments: dict[str, Any], rule: NetworkConfig = ANY, written: dict[str, Any] | None = None) -> str:
    return refusal(FETCH, arguments, written or {}, history(PAGE, FOUND), rule)


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": "https://docs.example.org/a/b?c=1"},
        {"url": "https://example.com/1"},
        {"query": "A title of words"},
        {"query": "the red house"},
        {"query": "Next line of the page"},
        {"query": "4711-X"},
        {"page": 7},
        {"page": None},
        {"depth": 9},
        {"kind": "news", "lang": "en"},
        {"ids": ["4711-X"]},
        {"ids": []},
    ],
)
def test_one_whole_value_of_one_place_may_go(arguments: dict[str, Any]) -> None:
    assert why(arguments) == ""


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": "https://docs.example.org/a/b?c=1&leak=tulip"},
        {"url": "https://docs.example.org/a"},
        {"url": "https://docs.example.org/tulip"},
        {"query": "tulip 4711-X"},
        {"query": "code word is tulip"},
        {"query": "4711"},
        {"query": "uli"},
        {"query": "secretplan"},
        {"page": 8},
        {"depth": 10},
        {"kind": "mail"},
        {"ids": ["4711-X", "tulip"]},
        {"ids": {"tulip": 1}},
        {"ids": [[[["4711-X"] * 99]]]},
    ],
)
def test_what_is_composed_cut_or_made_up_may_not(arguments: dict[str, Any]) -> None:
    [name] = arguments
    assert why(arguments).startswith(f"{name}: ")


def test_what_the_model_wrote_itself_may_go() -> None:
    assert why({"query": "tulip 4711-X"}, written={"query": "tulip 4711-X"}) == ""
    assert why({"query": "tulip 4711-X"}, written={"query": "tulip"}) != ""


def test_of_fields_that_are_named_as_secrets_nothing_goes() -> None:
    assert why({"query": "tulip77"}) == "query: copied from nowhere as a whole"


def test_numbers_of_free_arguments_may_be_any() -> None:
    rule = NetworkConfig(free=("page", "query"))
    assert why({"page": 8}, rule) == ""
    assert why({"query": "8 tulips"}, rule) != ""


def test_addresses_need_a_listed_host() -> None:
    assert why({"url": "https://example.com/1"}, NetworkConfig()) == "url: the host example.com is not listed"
    assert why({"url": "https://example.com/1"}, NetworkConfig(hosts=("*.example.com",))) != ""
    assert why({"url": "https://docs.example.org/a/b?c=1"}, NetworkConfig(hosts=("*.example.org",))) == ""


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://Example.COM./x", "example.com"),
        ("//example.com/x", "example.com"),
        ("example.com/x", "example.com"),
        ("www.example.com", "www.example.com"),
        ("localhost:80/x", "localhost"),
        ("ftp://example.com", "example.com"),
        ("https://listed.org@example.com/", ""),
        ("https://listed.org\\@example.com/", ""),
        ("http://[::1/x", ""),
        ("https:///x", ""),
        ("report.pdf", None),
        ("two words", None),
        ("a/b/c.py", None),
    ],
)
def test_the_host_of_an_address_is_found_however_it_is_written(address: str, host: str | None) -> None:
    assert host_of(address) == host


def test_a_host_is_listed_by_its_whole_name() -> None:
    assert is_listed("example.org", ("example.org",))
    assert not is_listed("badexample.org", ("*.example.org", "example.org"))
    assert not is_listed("example.org.evil.com", ("example.org", "*.example.org"))
    assert not is_listed("", ("*",))


@pytest.mark.parametrize(
    "text",
    [
        "sk-proj-abcdefghijklmnop1234",
        "pp-aaaaaaaaaaaaaaaaaaaa",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig",
        "-----BEGIN RSA PRIVATE KEY-----",
        "4111 1111 1111 1111",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY4",
        "https://example.org/cb?access_token=abc",
        "https://example.org/?q=AKIAIOSFODNN7EXAMPLE",
    ],
)
def test_what_looks_like_a_secret_is_known(text: str) -> None:
    assert looks_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        "the red house",
        "4711-X",
        "#W5056519",
        "sofia_rossi_8776",
        "https://docs.python.org/3/library/asyncio-task.html",
        "123e4567-e89b-12d3-a456-426614174000",
        "how-to-write-a-reverse-proxy-in-python-2026-edition",
        "paste_proxy/broker/test_egress_of_everything_2.py",
        "2026-11-26T21:15:07",
        "+49 30 123456",
    ],
)
def test_ids_dates_paths_and_slugs_are_no_secrets(text: str) -> None:
    assert not looks_secret(text)


words = st.text("abcdefgh0123", min_size=3, max_size=9)


@given(
    st.lists(words, min_size=2, max_size=6, unique=True),
    st.sampled_from(["", " ", "-", "/", "?q=", "&"]),
    st.data(),
)
def test_no_two_values_are_ever_sent_as_one(values: list[str], joint: str, data: st.DataObject) -> None:
    """Unless they stood together in one place already."""
    one, other = data.draw(st.permutations(values))[:2]
    outputs = [values[: len(values) // 2], {"text": values[len(values) // 2 :]}]
    joined = f"{one}{joint}{other}"
    stood = any(joined in json.dumps(output) for output in outputs)
    told = history(*outputs, user="go")
    assert stood or refusal(FETCH, {"query": joined}, {}, told, ANY)
    assert stood or refusal(FETCH, {"url": f"https://evil.example/{joined}"}, {}, told, ANY)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=20)
)
def test_it_answers_for_any_value(value: Any) -> None:
    assert isinstance(why({"query": value}), str)
