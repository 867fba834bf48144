"""Which format a reply's text has, and which opt-in the engine allows: as configured, else as it says."""

from typing import Any

import msgspec
import pytest

from paste_proxy.backends import OPENAI, SGLANG, ModelInfo, ReplyText
from paste_proxy.config import BackendConfig
from paste_proxy.errors import ConfigError
from paste_proxy.grammar import formats
from paste_proxy.grammar.events import CallSealed, ContentText, GrammarEvent

HERMES, PYTHONIC = formats.find("hermes"), formats.find("pythonic")


def text(parser: str | None = None, *, backend: Any = SGLANG, says: bool = True, **settings: Any) -> ReplyText:
    found = ReplyText(BackendConfig(**settings))
    found.found(backend, ModelInfo("m", parser) if says else None)
    return found


def test_the_engine_names_the_format() -> None:
    found = text("pythonic")
    assert found.calls == PYTHONIC
    assert found.engine_parses
    assert found.passive is None


def test_the_configuration_goes_before_the_engine() -> None:
    assert text("pythonic", tool_format="hermes").calls == HERMES


def test_a_configured_format_is_read_passively_where_nobody_parses() -> None:
    assert text(None, tool_format="hermes").passive == HERMES
    assert text(None, backend=OPENAI, says=False, tool_format="hermes").passive == HERMES
    assert text("hermes", tool_format="hermes").passive is None
    assert text(None, tool_format="hermes", parse="proxy").passive is None
    assert text(None).passive is None


@pytest.mark.parametrize("key", ["tool_format", "reasoning_format"])
def test_an_unknown_format_in_the_configuration_is_an_error_that_lists_the_known(key: str) -> None:
    with pytest.raises(ConfigError, match=r"known: .*gpt-oss") as caught:
        ReplyText(msgspec.convert({key: "nonsense"}, BackendConfig))
    assert caught.value.param == f"backend.{key}"


def test_an_unknown_format_of_the_engine_is_none_and_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    found = text("nonsense")
    found.found(SGLANG, ModelInfo("other", "nonsense"))
    assert found.calls is None
    assert found.engine_parses
    assert caplog.text.count("nonsense is none whose format is known") == 1


def test_calls_are_made_here_only_where_the_engine_was_seen_to_make_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings: dict[str, Any] = {"parse": "proxy", "tool_format": "hermes"}
    assert text(None, **settings).parsed_here
    assert not ReplyText(BackendConfig(**settings)).parsed_here  # not seen yet
    assert caplog.text == ""
    assert not text("hermes", **settings).parsed_here
    assert not text(None, says=False, **settings).parsed_here
    assert not text(None, backend=OPENAI, says=False, **settings).parsed_here
    assert caplog.text.count("parse: proxy is refused") == 3
    assert not text(None, tool_format="hermes").parsed_here


def test_the_raw_text_is_asked_for_only_where_a_known_parser_holds_it_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert text("pythonic", raw_tap="logprobs").tapped
    assert text(
        None, says=False, raw_tap="logprobs", tool_format="hermes"
    ).tapped  # wants a key: see its replies
    assert caplog.text == ""
    assert not text("nonsense", raw_tap="logprobs").tapped
    assert not text(None, raw_tap="logprobs", tool_format="hermes").tapped
    assert not text(None, backend=OPENAI, says=False, raw_tap="logprobs", tool_format="hermes").tapped
    assert caplog.text.count("is off") == 3
    assert not text("pythonic").tapped


def test_an_opt_in_that_failed_is_tried_again_with_another_engine(caplog: pytest.LogCaptureFixture) -> None:
    found = text("pythonic", raw_tap="logprobs")
    found.raw_tap_fails("none came")
    found.raw_tap_fails("none came")
    tapped = [found.tapped]
    for parser in ("pythonic", "hermes"):
        found.found(SGLANG, ModelInfo("m", parser))
        tapped.append(found.tapped)
    assert tapped == [False, False, True]
    assert caplog.text.count("none came") == 1


def test_one_odd_reply_is_no_reason_to_stop() -> None:
    found = text("pythonic", raw_tap="logprobs")
    for agrees in (False, False, True, False, False):
        found.raw_tap_read(agrees=agrees)
    assert found.tapped
    found.raw_tap_read(agrees=False)
    assert not found.tapped


def test_what_agents_read_in_the_text_is_not_made_into_calls(caplog: pytest.LogCaptureFixture) -> None:
    found = text(None, parse="proxy", tool_format="react")
    assert not found.parsed_here
    assert "react is what agents read in the text" in caplog.text
    assert found.passive == formats.find("react")


def test_text_of_the_text_apis_is_read_in_the_engine_s_format_too() -> None:
    events: list[GrammarEvent] = []
    say = "<think>[</think>[f(a=1)]"
    observer = text("pythonic", reasoning_format="qwen3").observer((), api_text=True)
    assert observer is not None
    observer.feed(say, 0, events)
    assert events[0] == ContentText(say)
    assert [one.name for one in events if isinstance(one, CallSealed) and one.in_text] == ["f"]
    assert text("pythonic").observer((), api_text=False) is None
    assert text(None, tool_format="pythonic").observer((), api_text=False) is not None


def test_reasoning_that_the_engine_takes_out_is_not_looked_for_in_content() -> None:
    found = ReplyText(BackendConfig(tool_format="hermes", parse="proxy"))
    found.found(SGLANG, ModelInfo("m", None, "deepseek-r1"))
    assert found.reasoning == formats.find_reasoning("deepseek-r1")
    assert found.told_here is None


def test_a_configured_format_that_is_not_the_engine_s_is_doubted(caplog: pytest.LogCaptureFixture) -> None:
    text("qwen", tool_format="hermes")
    assert caplog.text == ""
    text("qwen", tool_format="glm45")
    assert "backend.tool_format says glm45, but the engine's parser qwen reads hermes" in caplog.text


def test_a_name_that_is_nearly_right_is_put_right() -> None:
    with pytest.raises(ConfigError, match=r"'Qwen25' is no format of tool calls \(did you mean 'qwen25'\?\)"):
        ReplyText(BackendConfig(tool_format="Qwen25"))
