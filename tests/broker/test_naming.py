"""Which gateway tool does a name in a request mean?"""

import tracemalloc
from typing import Any

from paste_proxy.broker.naming import NAMES_KEPT, REMEMBERED, ToolNames, resolve_tools, same_schema
from paste_proxy.grammar.requests import RequestTool
from paste_proxy.tools.spec import ToolSpec
from paste_proxy.tools.table import ToolTable

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string", "description": "where"}, "title": {"type": "string"}},
    "required": ["path"],
    "additionalProperties": False,
}
SPECS = {"open": ToolSpec("open", "", SCHEMA), "search": ToolSpec("search", "", {"type": "object"})}


def test_the_name_itself_and_a_configured_prefix_are_resolved() -> None:
    offered = [
        RequestTool("open", SCHEMA),
        RequestTool("mcp__x__open", SCHEMA),
        RequestTool("other_open", SCHEMA),
    ]
    assert resolve_tools(offered, SPECS, ["mcp__x__"]) == {"open": "open", "mcp__x__open": "open"}


def test_another_schema_under_the_same_name_is_the_agent_s_own_tool() -> None:
    assert resolve_tools([RequestTool("open", {"type": "object"})], SPECS, []) == {}


def test_two_meanings_are_ambiguous() -> None:
    specs = {"a_open": ToolSpec("a_open", "", SCHEMA), "open": ToolSpec("open", "", SCHEMA)}
    assert resolve_tools([RequestTool("a_open", SCHEMA)], specs, ["a_"]) == {}


def test_words_do_not_matter_but_a_property_named_like_a_keyword_does() -> None:
    wordless = {
        "type": "object",
        "properties": {"path": {"type": "string"}, "title": {"type": "string"}},
        "required": ["path"],
        "$schema": "x",
        "description": "y",
    }
    assert same_schema(SCHEMA, wordless)
    del wordless["properties"]["title"]  # type: ignore[attr-defined]
    assert not same_schema(SCHEMA, wordless)


def test_requirements_matter_in_any_order_and_none_is_as_good_as_an_empty_list() -> None:
    assert same_schema({"required": ["a", "b"]}, {"required": ["b", "a"]})
    assert not same_schema({"required": ["a"]}, {})
    assert same_schema({"required": []}, {})


def test_a_list_s_names_are_those_of_its_tools_and_arguments_and_one_object() -> None:
    names = ToolNames(ToolTable(SPECS), ["mcp__"])
    offered = (RequestTool("mcp__open", SCHEMA), RequestTool("other", {"properties": 1}))
    resolved = names.resolve(offered, "default")
    assert resolved.offered == {"open", "other", *SCHEMA["properties"]}
    assert names.resolve(offered, "default").offered is resolved.offered
    many: dict[str, Any] = {"properties": {f"a{number}": {} for number in range(2 * NAMES_KEPT)}}
    assert len(names.resolve((RequestTool("other", many),), "default").offered) == NAMES_KEPT


def test_lists_of_any_size_are_remembered_in_little_space() -> None:
    names = ToolNames(ToolTable(SPECS), [])
    tracemalloc.start()
    try:
        for number in range(2 * REMEMBERED):
            offered = (
                RequestTool("open", SCHEMA),
                RequestTool("other", {"description": f"{number}{'x' * 50_000}"}),
            )
            assert names.resolve(offered, "default").ours == {"open": "open"}
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
