"""What a server lists, and what the operator lets of it run ahead."""

from typing import Any

import pytest

from paste_proxy.broker.keys import canonical_text
from paste_proxy.config_mcp import McpServerConfig, McpToolConfig
from paste_proxy.tools.mcp.offer import Offer, offer_of
from paste_proxy.tools.spec import Effect

SERVER = McpServerConfig(command="server")
VOUCHED = McpServerConfig(command="server", read=("look",), stateful=False)


def listed(name: str = "look", **more: Any) -> dict[str, Any]:
    return {"name": name, "description": "Looks.", "inputSchema": {"type": "object"}, **more}


def offered(config: McpServerConfig, *tools: dict[str, Any], taken: tuple[str, ...] = (), **more: Any) -> Offer:
    return offer_of("shop", config, tools, is_taken=taken.__contains__, kept=more.pop("kept", {}), **more)


def test_nothing_runs_ahead_by_itself() -> None:
    """Not even what its server calls read-only and idempotent."""
    notes = {"readOnlyHint": True, "idempotentHint": True, "destructiveHint": False}
    (spec,) = offered(SERVER, listed(annotations=notes)).specs
    assert spec.effect is Effect.NEVER
    assert spec.writes == {"*"}
    assert not spec.has_fingerprint


def test_what_the_operator_vouches_for_may() -> None:
    offer = offered(VOUCHED, listed())
    (spec,) = offer.specs
    assert spec.effect is Effect.READ
    assert spec.writes == frozenset()
    assert spec.reads == {"*"}
    assert spec.has_fingerprint
    assert spec.network
    assert offer.remarks == ()


@pytest.mark.parametrize(
    ("notes", "hint"),
    [({"readOnlyHint": False}, "readOnlyHint: false"), ({"destructiveHint": True}, "destructiveHint: true")],
)
def test_a_server_can_only_narrow(notes: dict[str, bool], hint: str) -> None:
    """It then counts as the write that it says it is."""
    offer = offered(VOUCHED, listed(annotations=notes))
    (spec,) = offer.specs
    assert spec.effect is Effect.NEVER
    assert spec.writes == {"*"}
    assert offer.remarks == (
        f"look does not run ahead: it is listed in `read`, but its server says `{hint}` of it",
    )


def test_a_read_of_a_stateful_server_writes_nothing_and_stays_home() -> None:
    offer = offered(McpServerConfig(command="server", read=("look",)), listed())
    (spec,) = offer.specs
    assert (spec.effect, spec.writes) == (Effect.NEVER, frozenset())
    assert "counts as stateful" in offer.remarks[0]


def test_who_asked_back_stays_home() -> None:
    (spec,) = offered(VOUCHED, listed(), asked_back={"look"}).specs
    assert (spec.effect, spec.writes) == (Effect.NEVER, frozenset())


def test_settings_of_a_tool_go_before_those_of_its_server() -> None:
    stated = McpToolConfig(
        reads=("shop",),
        writes=("cart",),
        inert=("why",),
        max_age_s=0,
        timeout_s=1,
        concurrency=2,
        price=0.5,
        volatility=0.25,
    )
    config = McpServerConfig(command="server", tools={"buy": stated}, max_age_s=9, timeout_s=8, concurrency=7)
    buy, look = offered(config, listed("buy"), listed()).specs
    assert [set(names) for names in (buy.reads, buy.writes, buy.inert)] == [{"shop"}, {"cart"}, {"why"}]
    assert (buy.max_age, buy.retention, buy.timeout, buy.concurrency, buy.price) == (0, 0, 1, 2, 0.5)
    assert (buy.volatility, look.volatility) == (0.25, 0)
    assert (look.max_age, look.retention, look.timeout, look.concurrency, look.price) == (9, 9, 8, 7, 0)


def test_tools_can_be_left_out() -> None:
    tools = [listed("a"), listed("b"), listed("c"), listed("a")]
    assert [spec.name for spec in offered(SERVER, *tools).specs] == ["a", "b", "c"]
    some = McpServerConfig(command="server", include=("a", "b"), exclude=("b",))
    assert [spec.name for spec in offered(some, *tools).specs] == ["a"]


def test_names_are_as_they_are_unless_they_clash() -> None:
    offer = offered(SERVER, listed(), listed("buy"), taken=("look",))
    assert offer.wire_names == {"shop_look": "look", "buy": "buy"}
    assert [(spec.listed or {})["name"] for spec in offer.specs] == ["shop_look", "buy"]
    lost = offered(SERVER, listed(), taken=("look", "shop_look"))
    assert lost.specs == ()
    assert lost.remarks == ("look is not offered: look and shop_look are names of other tools",)


def test_a_name_lasts() -> None:
    """Also when the other tool of that name is gone."""
    assert offered(SERVER, listed(), kept={"look": "shop_look"}).wire_names == {"shop_look": "look"}


def test_two_tools_of_one_server_do_not_share_a_name() -> None:
    offer = offered(SERVER, listed("shop_look"), listed(), taken=("look",))
    assert offer.wire_names == {"shop_look": "shop_look"}


def test_settings_of_tools_that_are_not_there_are_remarked() -> None:
    config = McpServerConfig(command="server", read=("lok",), tools={"bye": McpToolConfig()}, stateful=False)
    assert offered(config, listed()).remarks == ("it has no tool bye, lok, though it is said to",)


def test_what_a_schema_says_makes_no_calls_equal() -> None:
    """A default that the server does not really have would release one call's result to another."""
    schema = {"properties": {"page": {"type": "number", "default": 1}}}
    (spec,) = offered(VOUCHED, listed(inputSchema=schema)).specs
    texts = {canonical_text(spec, arguments) for arguments in ({}, {"page": 1}, {"page": 1.0})}
    assert len(texts) == 3


def test_only_the_operator_says_that_nothing_leaves_the_house() -> None:
    local = McpServerConfig(command="server", network=False)
    notes = {"openWorldHint": False}
    assert [offered(config, listed(annotations=notes)).specs[0].network for config in (SERVER, local)] == [
        True,
        False,
    ]


def test_the_listing_is_the_servers() -> None:
    tool = listed(title="Look!", outputSchema={"type": "object"}, icons=[{"src": "data:,"}], _meta={"a": 1})
    assert offered(SERVER, tool).specs[0].listed == tool


@pytest.mark.parametrize(
    ("stated", "writes"),
    [(McpToolConfig(volatile=True), frozenset()), (McpToolConfig(consumes=True), frozenset({"*"}))],
)
def test_what_is_volatile_or_consumes_stays_home_whatever_else_is_said(
    stated: McpToolConfig, writes: frozenset[str]
) -> None:
    config = McpServerConfig(command="server", read=("look",), stateful=False, tools={"look": stated})
    offer = offered(config, listed(annotations={"readOnlyHint": True}))
    (spec,) = offer.specs
    assert (spec.effect, spec.writes) == (Effect.NEVER, writes)
    assert len(offer.remarks) == 1
