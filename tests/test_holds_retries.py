"""Requests that repeat one that is held, as transcripts: who takes whose place."""

import json
from typing import Any

import pytest

from paste_proxy.events import (
    Attempt,
    Identity,
    TimePassed,
    TurnClosed,
    TurnSent,
    TurnStreamed,
)
from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.events import CallOpened, CallSealed, TurnEnded
from paste_proxy.grammar.requests import parse_chat_request, parse_request
from tests.broker.cast import OFFERED
from tests.holding import AGAIN, FIRST, THIRD, Site, request


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (FIRST, AGAIN),
        (AGAIN, THIRD),
        (Attempt(key="k"), Attempt(key="k")),
        (Attempt(key="k"), Attempt(0, 1, "k")),
    ],
)
@pytest.mark.parametrize("gone", [False, True])
def test_a_retry_takes_the_place_of_the_request_that_it_repeats(
    first: Attempt, second: Attempt, gone: bool
) -> None:
    site = Site()
    site.ask("busy")
    site.ask("one", request("hi"), first)
    site.ask("other")
    if gone:
        site.leave("one", 1.0)
    assert site.ask("two", request("hi"), second, at=2.0) == ([] if gone else ["one superseded"])
    assert site.leave("one") == []
    assert site.relation("two") == "retry"
    assert site.core.holds.held == 2
    assert site.answer("busy") == ["two goes"]
    assert site.answer("two") == ["other goes"]
    assert (site.ledger.superseded, site.ledger.withdrawn) == ((0, 1) if gone else (1, 0))
    assert len(site.core.turns.sessions) == 3


@pytest.mark.parametrize(
    ("api", "body"),
    [
        (Api.COMPLETIONS, {"prompt": "once upon a time"}),
        (Api.GENERATE, {"text": "once upon a time"}),
        (Api.MESSAGES, {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
        (Api.RESPONSES, {"input": "hi"}),
        (Api.RESPONSES, {"input": "hi", "previous_response_id": "never heard of"}),
        (Api.RESPONSES, {"input": "hi", "background": True}),
    ],
)
def test_a_retry_is_known_with_every_api(api: Api, body: dict[str, Any]) -> None:
    site = Site()
    site.ask("busy")
    asked = parse_request(api, json.dumps({"model": "m", **body}).encode())
    site.ask("one", asked)
    assert site.ask("two", asked, AGAIN) == ["one superseded"]
    site.leave("one")
    assert site.relation("two") == "retry"
    site.leave("two")
    site.ask("three", asked, THIRD)
    assert site.relation("three") == "retry"
    assert site.core.broker.open_scopes == 0


def test_the_deadline_counts_from_the_first_attempt() -> None:
    site = Site(max_hold_s=10.0)
    site.ask("busy")
    site.ask("one", request("hi"))
    site.leave("one", 5.0)
    site.ask("two", request("hi"), AGAIN, at=9.0)
    assert site.tell(TimePassed(), 10.0) == ["two goes"]


def test_a_place_is_kept_for_a_while_only() -> None:
    site = Site()
    site.ask("busy")
    site.ask("one", request("hi"))
    site.ask("other")
    site.leave("one", 1.0)
    site.ask("two", request("hi"), AGAIN, at=11.0)
    assert site.relation("two") == "retry"
    assert site.answer("busy") == ["other goes"]


@pytest.mark.parametrize(
    ("first", "second", "who"),
    [
        (FIRST, FIRST, ""),
        (AGAIN, AGAIN, ""),
        (THIRD, AGAIN, ""),
        (FIRST, THIRD, ""),
        (Attempt(key="k"), Attempt(0, 1, "l"), ""),
        (FIRST, Attempt(0, 1, "k"), ""),
        (FIRST, AGAIN, "another"),
    ],
)
def test_equal_bytes_alone_are_another_session(first: Attempt, second: Attempt, who: str) -> None:
    site = Site()
    site.ask("busy")
    site.ask("one", request("hi"), first)
    assert site.ask("two", request("hi"), second, who=Identity(session=who)) == []
    assert site.core.holds.held == 2
    assert site.relation("two") == "new"


def test_no_client_is_sent_away_where_two_may_be_meant() -> None:
    site = Site()
    site.ask("busy")
    site.ask("one", request("hi"))
    site.ask("two", request("hi"))
    assert site.ask("three", request("hi"), AGAIN) == []
    assert site.core.holds.held == 3


def test_no_client_is_sent_away_for_the_retry_of_a_turn_that_failed() -> None:
    site = Site()
    site.ask("one", request("hi"))
    site.tell(TurnSent("one"))
    site.ask("next")
    site.ask("two", request("hi"))
    assert site.leave("one") == ["next goes"]
    assert site.ask("one again", request("hi"), AGAIN) == []
    assert site.relation("one again") == "retry"
    assert site.core.holds.held == 2


def test_a_request_that_is_at_the_backend_is_not_superseded() -> None:
    site = Site(slots=2)
    site.ask("one", request("hi"))
    assert site.ask("two", request("hi"), AGAIN) == ["two goes"]
    assert site.relation("two") == "new"


def test_a_call_in_the_superseded_turn_s_history_is_counted_once() -> None:
    """Its session's writes are where they were."""
    site = Site()
    site.ask("one", request("hi"))
    site.tell(TurnSent("one"))
    site.tell(TurnStreamed("one", CallOpened(0, "c1", "run_shell")))
    site.tell(TurnStreamed("one", CallSealed(0, "c1", "run_shell", "{}")))
    site.tell(TurnStreamed("one", TurnEnded("tool_calls")))
    site.tell(TurnClosed("one", complete=True))
    assert site.core.broker.open_scopes == 1
    call = {"id": "c1", "type": "function", "function": {"name": "run_shell", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    ]
    then = parse_chat_request(json.dumps({"messages": messages, "tools": OFFERED}).encode())
    site.ask("busy")
    site.ask("two", then)
    assert site.relation("two") == "continued"
    assert site.ask("three", then, AGAIN) == ["two superseded"]
    assert site.relation("three") == "retry"
    assert site.core.broker.open_scopes == 0
