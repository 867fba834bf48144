"""Arguments that may be cursors keep a tool at home, unless the operator says that they are harmless."""

from typing import Any

import pytest

from paste_proxy.tools.paging import cursor_of, held_back, why_never
from paste_proxy.tools.spec import Effect, ToolSpec


def _spec(name: str) -> ToolSpec:
    schema = {"type": "object", "properties": {"q": {"type": "string"}, name: {"type": "string"}}}
    return ToolSpec("list", "", schema, effect=Effect.READ, writes=frozenset())


CURSORS = (
    *("cursor", "nextCursor", "after_cursor", "page_token", "pageToken", "next_token", "NextPageToken"),
    *("continuation-token", "scroll_id", "starting_after", "marker", "syncToken", "ExclusiveStartKey", "nonce"),
)


@pytest.mark.parametrize("name", CURSORS)
def test_what_looks_like_a_cursor(name: str) -> None:
    spec = _spec(name)
    assert cursor_of(spec) == name
    held = held_back(spec, ())
    assert (held.effect, held.writes) == (Effect.NEVER, frozenset())
    assert name in why_never(held)
    assert held_back(spec, ("list",)) is spec


@pytest.mark.parametrize("name", ["page", "offset", "limit", "token", "path", "after", "max_tokens"])
def test_what_only_names_a_place_or_is_something_else(name: str) -> None:
    assert cursor_of(_spec(name)) == ""
    assert held_back(_spec(name), ()).effect is Effect.READ


def test_one_that_is_nested_is_found_and_odd_schemas_are_no_error() -> None:
    schema: dict[str, Any] = {
        "properties": {"options": {"properties": {"paging": {"properties": {"cursor": {}}}}}}
    }
    assert cursor_of(ToolSpec("list", "", schema)) == "cursor"
    oddities: tuple[dict[str, Any], ...] = (
        {"properties": []},
        {"properties": {"a": True, "b": {"properties": 3}}},
        {},
    )
    for odd in oddities:
        assert cursor_of(ToolSpec("list", "", odd)) == ""
