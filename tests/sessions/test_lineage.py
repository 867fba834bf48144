"""In which spellings a reply is waited for, and what that costs."""

import json
import time

import pytest

from paste_proxy.grammar.digests import extend_chain, message_digest
from paste_proxy.grammar.requests import MessageCall
from paste_proxy.sessions.lineage import SPELT_LIMIT, reply_tips


def tip(text: str, *calls: MessageCall) -> bytes:
    said = [(call.call_id, call.name, call.arguments) for call in calls]
    return extend_chain(b"chain", message_digest("assistant", text, said))


LOOK = MessageCall("c", "look", '{"a": 1.0}')


def test_a_reply_is_waited_for_in_every_spelling() -> None:
    texts = ("<think>so</think>Yes.", "Yes.", "")
    calls = (LOOK, MessageCall("c", "look", '{"a":1}'), MessageCall("c", "look", ""))
    tips = reply_tips(b"chain", texts[0], [LOOK])
    assert sorted(tips) == sorted(tip(text, call) for text in texts for call in calls)
    assert tips[0] == tip(texts[0], LOOK)
    assert reply_tips(b"chain", texts[0], []) == (tip(texts[0]), tip(texts[1]))


def test_a_long_reply_is_waited_for_as_it_was_sent() -> None:
    text = "<think>so</think>" + "x" * SPELT_LIMIT
    assert reply_tips(b"chain", text, [LOOK]) == (tip(text, LOOK),)


@pytest.mark.parametrize("value", [[1.0, "e1"] * 500_000, {str(key): 1.0 for key in range(400_000)}])
def test_a_hostile_reply_takes_little_time(value: object) -> None:
    hostile = MessageCall("c", "look", json.dumps({"a": value}))
    begun = time.process_time()
    reply_tips(b"chain", "a b\n" * 1_000_000, [hostile])
    assert time.process_time() - begun < 2
