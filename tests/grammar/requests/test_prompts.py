import json
from typing import Any

import pytest
from hypothesis import given

from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.errors import GrammarError, UnreadableRequestError
from paste_proxy.grammar.requests import ChatRequest, parse_request
from tests.grammar.requests.test_responses import JSON


def complete(prompt: Any, **fields: Any) -> ChatRequest:
    return parse_request(Api.COMPLETIONS, json.dumps({"prompt": prompt, **fields}).encode())


def generate(**fields: Any) -> ChatRequest:
    return parse_request(Api.GENERATE, json.dumps(fields).encode())


def test_a_prompt_is_one_message() -> None:
    for request in (
        complete("a b\n", model="m", stream=True, session_id="s"),
        complete(["a b\n"], model="m", stream=True, session_id="s"),
        generate(text="a b\n", model="m", stream=True, session_id="s"),
    ):
        assert [(one.role, one.text) for one in request.messages] == [("user", "a b\n")]
        assert request.chain == (request.messages[0].digest,)
        assert request.prompt == b"ab"
        assert (request.model, request.stream, request.choices, request.has_rid) == ("m", True, 1, False)
        assert (request.tools, request.fields) == ((), {"session_id": "s"})
    assert complete("a b").chain == generate(text="ab").chain
    assert complete("a b").chain != complete("a c").chain


@pytest.mark.parametrize(
    ("request_", "choices"),
    [
        (lambda: complete(["a", "b"]), 2),
        (lambda: complete(["a", "b"], n=3), 6),
        (lambda: complete([1, 2, 3]), 1),
        (lambda: complete([[1], [2]]), 2),
        (lambda: complete("a", echo=True), 1),
        (lambda: complete(None), 1),
        (lambda: generate(text=["a"]), 2),
        (lambda: generate(input_ids=[1, 2]), 1),
        (lambda: generate(input_ids=[[1], [2]]), 2),
        (lambda: generate(text="a", image_data="x"), 1),
        (lambda: generate(input_embeds=[[0.5]]), 1),
    ],
)
def test_what_can_t_be_known_again_has_no_history(request_: Any, choices: int) -> None:
    request = request_()
    assert (request.messages, request.chain, request.prompt, request.choices) == ((), (), b"", choices)


def test_several_replies_to_one_prompt() -> None:
    assert complete("a", n=2).choices == 2
    assert generate(text="a", sampling_params={"n": 2}).choices == 2
    assert generate(text="a", sampling_params=[{}]).choices == 2
    assert generate(text="a", sampling_params={"n": "x"}).choices == 1


@pytest.mark.parametrize("rid", [None, "mine", ["a"]])
def test_a_rid_of_any_value_is_the_clients_own(rid: Any) -> None:
    assert complete("a", rid=rid).has_rid
    assert generate(text="a", rid=rid).has_rid


@pytest.mark.parametrize("api", [Api.COMPLETIONS, Api.GENERATE])
@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'"x"', b'{"text":null}', b'{"text":'])
def test_what_is_no_request_is_refused(api: Api, body: bytes) -> None:
    with pytest.raises(UnreadableRequestError, match="not a request"):
        parse_request(api, body)


@given(JSON, JSON)
def test_any_prompt_is_read_or_refused(prompt: Any, sampling: Any) -> None:
    assert len(complete(prompt).chain) <= 1
    try:
        request = generate(text=prompt, sampling_params=sampling)
    except GrammarError:
        return
    assert len(request.chain) == len(request.messages)
