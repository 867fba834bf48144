"""What is learnt of turns, and what it may hold back: nothing beside an idle engine, whatever anybody says."""

import json
from typing import Any

import pytest

from paste_proxy.config import BackendConfig, Config, LimitsConfig, TenantConfig
from paste_proxy.core import Core
from paste_proxy.events import (
    AdmitTurn,
    BackendUp,
    ConfigChanged,
    Identity,
    TurnBegan,
    TurnClosed,
    TurnRequested,
    TurnSent,
    TurnStreamed,
)
from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.dialects import read_reply
from paste_proxy.grammar.events import Usage, UsageReported
from paste_proxy.grammar.requests import ChatRequest, parse_chat_request
from paste_proxy.schedule.backends import BackendCapacity
from paste_proxy.tools.table import ToolTable
from tests.talk import NoPredictor

MEMORY = 1_000_000


def request(said: str = "go", **fields: Any) -> ChatRequest:
    messages = [{"role": "user", "content": said}]
    return parse_chat_request(json.dumps({"messages": messages, **fields}).encode())


class Site:
    def __init__(self, **limits: Any) -> None:
        self.core = Core(
            ToolTable({}), Config(backend=BackendConfig(), limits=LimitsConfig(**limits)), NoPredictor()
        )
        self.tell(BackendUp("", BackendCapacity(kv_tokens=MEMORY)))

    def tell(self, event: Any, now: float = 0.0) -> list[str]:
        return [one.turn for one in self.core.handle(event, now) if isinstance(one, AdmitTurn)]

    def ask(self, turn: str, body: ChatRequest | None, now: float = 0.0, **identity: Any) -> list[str]:
        return self.tell(TurnRequested(turn, Identity(**identity), body), now)

    @property
    def leased(self) -> int:
        return self.core.pacing.facts_of("").leased


@pytest.mark.parametrize("tokens", ["1" + "0" * 400, "-5", "18446744073709551615"])
@pytest.mark.parametrize("field", ["prompt_tokens", "completion_tokens", "cached_tokens"])
def test_counts_that_no_engine_can_mean_are_passed_over(field: str, tokens: str) -> None:
    told = {"prompt_tokens": "5000", "completion_tokens": "7", "cached_tokens": "9"} | {field: tokens}
    body = (
        '{"choices": [{"message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}], "usage": '
        f'{{"prompt_tokens": {told["prompt_tokens"]}, "completion_tokens": {told["completion_tokens"]}, '
        f'"prompt_tokens_details": {{"cached_tokens": {told["cached_tokens"]}}}}}}}'
    )
    site = Site()
    assert site.ask("t1", request()) == ["t1"]
    site.tell(TurnSent("t1"), 1.0)
    site.tell(TurnBegan("t1"), 2.0)
    for event in read_reply(Api.CHAT, body.encode(), None):
        site.tell(TurnStreamed("t1", event), 3.0)
    site.tell(TurnClosed("t1", complete=True), 3.0)
    assert site.ask("t2", request("again"), 4.0) == ["t2"]


def test_a_request_that_can_not_be_read_has_its_tenant_and_its_priority() -> None:
    site = Site()
    site.core.handle(ConfigChanged(Config(backend=BackendConfig(max_turns=1))), 0.0)
    assert site.ask("t1", None) == ["t1"]
    assert site.ask("t2", None, 1.0, tenant="x") == []
    assert site.ask("t3", None, 2.0, tenant="y", priority=5) == []
    waits = {turn: site.core.queue.turns("turns:").find(turn) for turn in ("t2", "t3")}
    assert [(one.tenant, one.priority) for one in waits.values() if one] == [("x", 0), ("y", 5)]
    assert site.tell(TurnClosed("t1", complete=True), 3.0) == ["t3"]


BIG = "word " * round(0.75 * MEMORY)
"""With it, most of the memory is taken: with room for all, nothing is read one by one."""
COLD = "word " * 20_000
"""Of which an engine would have to read more than one batch."""


def test_a_reply_that_comes_in_one_piece_holds_up_no_cold_prompt() -> None:
    """When its prompt has been read nobody can see: the engine would idle until it is through."""
    site = Site()
    assert site.ask("t1", request(COLD + "1")) == ["t1"]
    assert site.ask("t2", request(COLD + "2")) == ["t2"]
    assert site.ask("t0", request(BIG)) == ["t0"]
    assert site.ask("t3", request(COLD + "3", stream=True)) == ["t3"]
    assert site.ask("t4", request(COLD + "4", stream=True)) == []
    assert site.tell(TurnBegan("t3"), 1.0) == ["t4"]


def test_a_reply_that_comes_in_one_piece_says_nothing_of_the_engines_pace() -> None:
    site = Site()
    site.ask("t1", request(COLD))
    site.tell(TurnSent("t1"), 0.0)
    site.tell(TurnBegan("t1"), 60.0)
    site.tell(TurnStreamed("t1", UsageReported(Usage(20_000, 900))), 60.001)
    assert site.core.queue.turns("turns:").prefill_rate == 0.0


def test_a_tenant_teaches_nothing_of_another_whose_application_looks_alike() -> None:
    site = Site()
    for number in range(20):  # sessions that come once: they wait for no lease, and get none
        site.ask(f"x{number}", request(f"{number}"), tenant="x")
    before = site.leased
    site.ask("x", request("x"), tenant="x")
    assert site.leased == before
    site.ask("y", request("y"), tenant="y")
    assert site.leased == before + 1


def test_a_share_that_is_reloaded_holds_for_those_that_wait_already() -> None:
    site = Site()
    site.tell(BackendUp("", BackendCapacity(kv_tokens=100_000)))
    sizes = {"a1": 20_000, "a2": 20_000, "b1": 50_000, "a3": 20_000, "b2": 20_000}
    went = [
        site.ask(turn, request(turn + "word" * tokens), tenant=turn[0], final=True)
        for turn, tokens in sizes.items()
    ]
    assert went == [["a1"], ["a2"], ["b1"], [], []]
    site.core.handle(ConfigChanged(Config(tenants={"b": TenantConfig(share=4.0)})), 1.0)
    site.tell(TurnSent("a1"), 1.0)
    assert site.tell(TurnClosed("a1", complete=True), 2.0) == ["b2"]
