"""Turns as transcripts: calls that are read out of the client's text."""

import json

import msgspec

from paste_proxy.events import TurnClosed, TurnRequested, TurnSent
from paste_proxy.grammar.events import CallOpened, CallSealed, ContentText, Malformed
from paste_proxy.grammar.requests import parse_chat_request
from tests.talk import NOBODY, Talk, talk


def in_text(t: Talk, tool: str, ordinal: int = 0) -> list[str]:
    said = f"Action: {tool} {ordinal}\n"
    sealed = CallSealed(ordinal, "", tool, '{"k": 1}', in_text=True)
    return t.hears(ContentText(said), CallOpened(ordinal, "", tool, in_text=True), sealed)


def test_a_session_goes_on_from_the_text_that_its_calls_were_read_from() -> None:
    t = talk()
    t.ask()
    assert in_text(t, "read_a") == ["read_a decided"]
    assert t.calls("read_a") == []
    t.ends()
    t.messages.append({"role": "assistant", "content": "Action: read_a 0"})
    t.messages.append({"role": "user", "content": "Observation: done"})
    t.ask()
    assert [note["relation"] for note in t.notes("turn")] == ["new", "continued"]


def test_a_write_in_the_text_is_open_until_its_session_asks_again() -> None:
    t = talk()
    t.ask()
    in_text(t, "edit")
    assert in_text(t, "read_a", 1) == []
    t.ends()
    other = Talk(t.core)
    other.messages[0]["content"] = "something else"
    other.ask()
    assert t.core.broker.open_scopes == 1
    t.messages.append({"role": "assistant", "content": "Action: edit 0\nAction: read_a 1"})
    t.messages.append({"role": "user", "content": "Observation: done"})
    t.ask()
    assert t.core.broker.open_scopes == 0
    assert in_text(t, "read_a") == ["read_a decided"]


def test_a_write_in_the_text_stays_open_where_nobody_knows_whether_its_session_asked() -> None:
    """A client that writes the reply otherwise begins a new session: for all we know the first one goes on."""
    t = talk()
    t.ask()
    in_text(t, "edit")
    t.ends()
    t.messages.append({"role": "assistant", "content": "I edit."})
    t.messages.append({"role": "user", "content": "Observation: done"})
    t.ask()
    assert t.core.broker.open_scopes == 1


def test_what_can_t_be_read_may_hold_calls_where_calls_were_read_from_the_text() -> None:
    """Such clients offer their tools in the prompt."""
    for earlier in ("none", "one"):
        t = talk(edit=())
        t.ask(tools=[])
        if earlier == "one":
            in_text(t, "edit")
        t.hears(Malformed("junk", 7))
        assert t.core.broker.open_scopes == (1 if earlier == "one" else 0)


def test_what_can_t_be_read_may_hold_calls_where_the_text_is_read_for_calls() -> None:
    t = talk()
    body = json.dumps({"messages": t.messages}).encode()
    request = msgspec.structs.replace(parse_chat_request(body), text_is_read=True)
    t.tell(TurnRequested("turn", NOBODY, request))
    t.tell(TurnSent("turn"))
    t.tell(TurnClosed("turn", complete=True, unread=True))
    assert t.core.broker.open_scopes == 1


def test_calls_without_ids_are_pending_one_by_one_until_their_session_asks_again() -> None:
    t = talk()
    t.ask()
    for ordinal, tool in enumerate(("read_a", "read_b")):
        assert in_text(t, tool, ordinal) == [f"{tool} decided"]
    assert t.calls("read_a") == []
    assert t.calls("read_b") == []
    in_text(t, "read_all", 2)
    t.ends()
    t.messages.append({"role": "assistant", "content": "Action: read_a 0 Action: read_b 1 Action: read_all 2"})
    t.messages.append({"role": "user", "content": "Observation: done"})
    t.ask()
    assert t.calls("read_all") == ["read_all authoritative"]
