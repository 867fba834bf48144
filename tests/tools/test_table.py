"""Which tools there are: each belongs to who offered it."""

from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.tools.spec import ToolSpec
from paste_proxy.tools.table import PLUGINS, ToolTable, client_source


def spec(name: str, words: str = "") -> ToolSpec:
    return ToolSpec(name, words, {"type": "object", "properties": {}})


def test_a_source_offers_all_its_tools_at_once() -> None:
    table = ToolTable({"own": spec("own")})
    assert table.offer("git", [spec("status"), spec("log")]).changed == frozenset()
    assert dict(table).keys() == {"own", "status", "log"}
    offered = table.offer("git", [spec("status")])
    assert offered.changed == {"log"}
    assert dict(table).keys() == {"own", "status"}
    assert (table.source("own"), table.source("status"), table.source("log")) == (PLUGINS, "git", "")


def test_a_tool_that_is_another_now_has_changed() -> None:
    table = ToolTable()
    table.offer("git", [spec("status"), spec("log")])
    assert table.offer("git", [spec("status", "other words"), spec("log")]).changed == {"status"}
    assert table["status"].description == "other words"


def test_a_name_stays_with_who_had_it_first() -> None:
    table = ToolTable({"status": spec("status", "ours")})
    assert table.offer("git", [spec("status", "theirs"), spec("log")]).refused == {"status"}
    assert table["status"].description == "ours"
    assert table.offer("git", []).changed == {"log"}
    assert table.source("status") == PLUGINS


def test_a_client_keeps_no_name_from_the_operators_tools() -> None:
    """A server that starts later, or lists one more tool, must not lose it to whoever was there first."""
    table = ToolTable()
    table.offer(client_source("t"), [spec("status", "theirs"), spec("look")])
    offered = table.offer("git", [spec("status", "ours")])
    assert offered.changed == {"status"}
    assert not offered.refused
    assert table.source("status") == "git"
    assert table.offer(client_source("t"), [spec("status", "theirs"), spec("look")]).refused == {"status"}
    assert table.offer(client_source("u"), [spec("look")]).refused == {"look"}
    assert table["status"].description == "ours"


names = st.frozensets(st.sampled_from("abcd"))


@given(st.lists(st.tuples(st.sampled_from(["x", "y", "z"]), names), max_size=20))
def test_no_offer_takes_anothers_tool_and_none_is_lost(offers: list[tuple[str, frozenset[str]]]) -> None:
    table = ToolTable()
    has: dict[str, set[str]] = {"x": set(), "y": set(), "z": set()}
    for version, (source, wanted) in enumerate(offers, start=table.version + 1):
        others = set().union(*(mine for owner, mine in has.items() if owner != source))
        offered = table.offer(source, [spec(name) for name in wanted])
        assert offered.changed == has[source] - wanted
        assert offered.refused == wanted & others
        has[source] = set(wanted) - others
        assert table.version == version
        assert {name: table.source(name) for name in table} == {
            name: owner for owner, mine in has.items() for name in mine
        }
