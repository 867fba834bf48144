import json
from typing import Any

import msgspec
import pytest

from paste_proxy.predict.bindings import (
    ArgumentBinding,
    Binding,
    IterationBinding,
    PathBinding,
    Slot,
    TextBinding,
    View,
    explain,
    family,
)
from paste_proxy.predict.model import FinishedCall
from paste_proxy.predict.signatures import finished_call


def call(tool: str, arguments: dict[str, Any], result: Any) -> FinishedCall:
    return finished_call(tool, arguments, result if isinstance(result, str) else json.dumps(result))


def results(*names: str) -> list[dict[str, str]]:
    return [{"name": name, "summary": f"about {name}"} for name in names]


def value(binding: Binding, slot: Slot, *calls: FinishedCall) -> Any:
    key = binding.find(View(calls), slot)
    return None if key is None else key[1]


SEARCH = call("search", {"query": "q"}, results("a", "b", "c"))
OPEN_NAME = Slot("open", "name")
ITEM = IterationBinding("search", (None, "name"))


def test_path_is_of_the_newest_output_that_has_it() -> None:
    user = call("user", {}, {"id": "u1", "orders": [{"id": 7}]})
    failed = call("user", {}, {"error": "busy"})
    slot = Slot("order", "id")
    assert value(PathBinding("user", ("id",)), slot, user, failed) == "u1"
    assert value(PathBinding("user", ("orders", 0, "id")), slot, user) == 7
    assert value(PathBinding("user", ("orders", 1, "id")), slot, user) is None
    assert value(PathBinding("user", ("orders",)), slot, user) is None
    assert value(PathBinding("nobody", ("id",)), slot, user) is None


def test_iteration_skips_what_was_used_as_this_argument() -> None:
    second = msgspec.structs.replace(ITEM, rank=1)
    assert value(ITEM, OPEN_NAME, SEARCH) == "a"
    assert value(second, OPEN_NAME, SEARCH) == "b"
    opened = call("open", {"name": "b"}, "page")
    assert value(ITEM, OPEN_NAME, SEARCH, opened) == "a"
    assert value(second, OPEN_NAME, SEARCH, opened) == "c"
    assert value(ITEM, Slot("read", "name"), SEARCH, call("open", {"name": "a"}, "page")) == "a"


def test_iteration_falls_back_to_the_newest_list_with_something_left() -> None:
    empty = call("search", {"query": "none"}, [])
    opened = call("open", {"name": "a"}, "page")
    assert value(ITEM, OPEN_NAME, SEARCH, opened, empty) == "b"
    assert value(msgspec.structs.replace(ITEM, rank=3), OPEN_NAME, SEARCH) is None


def test_iteration_flattens_nested_lists_and_drops_doubles() -> None:
    nested = call("list", {}, {"groups": [{"ids": [1, 2]}, {"ids": [2, 3]}]})
    slot, source = Slot("get", "id"), IterationBinding("list", ("groups", None, "ids", None))
    assert [value(msgspec.structs.replace(source, rank=r), slot, nested) for r in range(4)] == [1, 2, 3, None]


def test_text_gives_unused_addresses_and_paths() -> None:
    page = call("read", {"url": "https://a.b"}, "see https://a.b and https://c.d or src/x.py")
    assert value(TextBinding("address", "read"), Slot("read", "url"), page) == "https://c.d"
    assert value(TextBinding("path", "read"), Slot("cat", "path"), page) == "src/x.py"


def test_argument_is_of_the_newest_call_that_has_it() -> None:
    calls = call("list", {"limit": 10}, []), call("list", {"limit": 20}, []), call("list", {}, [])
    assert value(ArgumentBinding("list", "limit"), Slot("list", "limit"), *calls) == 20


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("a", [ITEM, PathBinding("search", (0, "name"))]),
        ("c", [msgspec.structs.replace(ITEM, rank=2), PathBinding("search", (2, "name"))]),
        ("q", [ArgumentBinding("search", "query")]),
        ("elsewhere", []),
        (["a"], []),
        ("x" * 5000, []),
    ],
)
def test_explanations_of_a_value(asked: Any, expected: list[Binding]) -> None:
    assert explain(View([SEARCH]), OPEN_NAME, asked) == expected


def test_a_used_item_is_explained_by_its_place_alone() -> None:
    calls = [SEARCH, call("open", {"name": "a"}, "page")]
    expected = [PathBinding("search", (0, "name")), ArgumentBinding("open", "name")]
    assert explain(View(calls), OPEN_NAME, "a") == expected


def test_types_must_be_equal() -> None:
    view = View([call("list", {}, {"count": 1, "ids": [1], "rate": 1.0, "on": True})])
    slot = Slot("get", "id")
    assert PathBinding("list", ("count",)) in explain(view, slot, 1)
    assert explain(view, slot, 1.0) == [PathBinding("list", ("rate",))]
    assert explain(view, slot, "1") == []
    assert explain(view, slot, value=True) == []


def test_truth_values_come_from_arguments_alone() -> None:
    view = View([call("list", {"deep": True, "filter": None}, {"on": True})])
    assert explain(view, Slot("list", "deep"), value=True) == [ArgumentBinding("list", "deep")]
    assert explain(view, Slot("list", "filter"), None) == [ArgumentBinding("list", "filter")]


def test_keys_of_maps_are_not_followed_but_their_values_are() -> None:
    view = View([call("products", {}, {"T shirt": "98", "Desk lamp": "99"})])
    slot = Slot("product", "id")
    assert explain(view, slot, "99") == [IterationBinding("products", (None,), rank=1)]


def test_old_outputs_count_where_the_tool_has_no_newer_one() -> None:
    noise = [call("noise", {"n": n}, {"n": n}) for n in range(20)]
    view = View([SEARCH, *noise])
    assert ITEM in explain(view, OPEN_NAME, "a")
    assert explain(View([SEARCH, *noise, call("search", {}, [])]), OPEN_NAME, "a") == []


def test_explanations_are_bounded() -> None:
    calls = [call(f"t{n}", {"a": 5}, {f"f{'x' * n}": 5, "l": [5]}) for n in range(16)]
    assert len(explain(View(calls), Slot("get", "id"), 5)) == 8


@pytest.mark.parametrize(
    "binding",
    [
        PathBinding("t", ("a", 0, "b")),
        IterationBinding("t", ("a", None), rank=3),
        TextBinding("path", "t", rank=1),
        ArgumentBinding("t", "a"),
    ],
)
def test_bindings_survive_json(binding: Binding) -> None:
    assert msgspec.json.decode(msgspec.json.encode(binding), type=Binding) == binding


def test_a_family_has_no_rank() -> None:
    assert family(IterationBinding("t", (None,), rank=3)) == IterationBinding("t", (None,))
    assert family(ArgumentBinding("t", "a")) == ArgumentBinding("t", "a")
