"""Requests and replies survive the pipe as they are."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.config import PluginConfig
from paste_proxy.errors import InvalidArgumentsError, PasteError, PluginError, ResultTooLargeError, ToolError
from paste_proxy.tools.ports import Output, RunContext
from paste_proxy.tools.wire import (
    Request,
    Source,
    decode_reply,
    decode_request,
    encode_error,
    encode_output,
    encode_request,
)
from tests.tools.test_arguments import JSON

SOURCE = Source(PluginConfig(path="/plug.py", options={"root": "/", "deep": [1, {"a": None}]}), "1:2")


@given(st.none() | st.dictionaries(st.text(max_size=5), JSON, max_size=3), st.text(), st.text())
def test_a_request_arrives_as_it_was_sent(arguments: dict[str, Any] | None, tenant: str, session: str) -> None:
    request = Request(SOURCE, "tool", RunContext(tenant, session), arguments)
    assert decode_request(encode_request(request)) == request


@given(st.binary(), st.booleans(), st.none() | st.floats(min_value=0, allow_infinity=False))
def test_an_output_arrives_as_it_was_sent(body: bytes, is_text: bool, max_age: float | None) -> None:
    output = Output(body, is_text=is_text, max_age=max_age)
    assert decode_reply(*encode_output(output)) == output


@pytest.mark.parametrize("kind", [ToolError, ResultTooLargeError, InvalidArgumentsError])
def test_an_error_arrives_as_the_same_error(kind: type[PasteError]) -> None:
    with pytest.raises(kind) as caught:
        decode_reply(*encode_error(kind("why", param="$.path")))
    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.param) == ("why", "$.path")


def test_any_other_error_arrives_as_a_tool_error() -> None:
    with pytest.raises(ToolError, match=r"plug\.py:1: gone"):
        decode_reply(*encode_error(PluginError("plug.py:1: gone")))
