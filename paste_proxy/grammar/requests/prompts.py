"""Requests of the APIs that take a plain prompt: `/v1/completions` (OpenAI API reference, legacy; SGLang 0.5.23
`CompletionRequest`) and SGLang's own `/generate` (`GenerateReqInput`).

The history is one text, and the next prompt begins with it: prompt, reply, and what the agent adds. It can be
known again only where it is given as text, once, and alone; else the request has no messages.
"""

from typing import Any

import msgspec

from paste_proxy.grammar.digests import TextDigest, digest, squeeze
from paste_proxy.grammar.errors import UnreadableRequestError
from paste_proxy.grammar.requests.fields import UNREADABLE, Body, count
from paste_proxy.grammar.requests.model import ChatRequest, Message


class _CompletionBody(Body, gc=False, kw_only=True):
    prompt: Any
    echo: Any = None
    rid: Any = msgspec.UNSET


class _GenerateBody(Body, gc=False):
    text: Any = None
    input_ids: Any = None
    input_embeds: Any = None
    image_data: Any = None
    video_data: Any = None
    audio_data: Any = None
    sampling_params: Any = None
    rid: Any = msgspec.UNSET


_decode_completion = msgspec.json.Decoder(_CompletionBody).decode
_decode_generate = msgspec.json.Decoder(_GenerateBody).decode


def parse_completion_request(body: bytes) -> ChatRequest:
    """Read the body of POST /v1/completions. Raises `UnreadableRequestError`."""
    try:
        read = _decode_completion(body)
    except UNREADABLE as error:
        raise UnreadableRequestError(f"not a request for a completion: {error}") from error
    prompts = read.prompt if isinstance(read.prompt, list) else [read.prompt]
    several = len(prompts) > 1 and not all(isinstance(one, int) for one in prompts)
    # An echoed prompt would be read as what the model says.
    alone = prompts[0] if len(prompts) == 1 and read.echo is not True else None
    choices = read.choices * (len(prompts) if several else 1)
    return _request(body, read, alone, choices, has_rid=read.rid is not msgspec.UNSET)


def parse_generate_request(body: bytes) -> ChatRequest:
    """Read the body of POST /generate. Raises `UnreadableRequestError`."""
    try:
        read = _decode_generate(body)
    except UNREADABLE as error:
        raise UnreadableRequestError(f"not a request to generate: {error}") from error
    media = read.image_data or read.video_data or read.audio_data
    given = (read.text, read.input_ids, read.input_embeds)
    # A list of texts is answered by a list of replies, even if it has one text only.
    choices = 2 if isinstance(read.text, list) or _is_nested(read.input_ids) else _samples(read.sampling_params)
    if all(one is None for one in given):
        raise UnreadableRequestError("not a request to generate: no text and no ids")
    alone = None if media or read.input_ids or read.input_embeds else read.text
    return _request(body, read, alone, choices, has_rid=read.rid is not msgspec.UNSET)


def _is_nested(ids: Any) -> bool:
    return isinstance(ids, list) and bool(ids) and isinstance(ids[0], list)


def _samples(sampling: Any) -> int:
    if isinstance(sampling, list):
        return max(2, len(sampling))
    return count(sampling.get("n")) if isinstance(sampling, dict) else 1


def _request(body: bytes, read: Body, prompt: Any, choices: int, *, has_rid: bool) -> ChatRequest:
    """`prompt` is None, or no text, where there is none to know again."""
    messages: tuple[Message, ...] = ()
    squeezed = b""
    if isinstance(prompt, str):
        squeezed = squeeze(prompt)
        messages = (Message("user", prompt, digest=TextDigest(squeezed).value()),)
    return ChatRequest(
        messages=messages,
        chain=tuple(one.digest for one in messages),
        body_digest=digest(body),
        model=read.model_name,
        stream=read.stream is True,
        choices=choices,
        has_rid=has_rid,
        fields=read.session_fields(),
        names_session=read.names_session,
        hints=read.hints,
        prompt=squeezed,
    )
