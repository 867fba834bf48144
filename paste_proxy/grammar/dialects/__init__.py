"""How APIs say a reply: one module each, all telling a `Reply`; and the one place that knows them all."""

from collections.abc import Sequence

from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.dialects.chat import ChatDialect
from paste_proxy.grammar.dialects.completions import CompletionsDialect
from paste_proxy.grammar.dialects.generate import GenerateDialect
from paste_proxy.grammar.dialects.messages import MessagesDialect
from paste_proxy.grammar.dialects.responses import ResponsesDialect
from paste_proxy.grammar.events import GrammarEvent
from paste_proxy.grammar.reply import Dialect, Reply, StreamReader, TextReader
from paste_proxy.grammar.requests import RequestTool

__all__ = ["Api", "TextReader", "read_reply", "stream_reader"]


def stream_reader(
    api: Api, text: TextReader | None = None, *, tools: Sequence[RequestTool] = ()
) -> StreamReader:
    """For one streamed reply, whose content `text` reads; `tools` are those that the request offers."""
    reply = Reply(text, tools)
    return StreamReader(_dialect(api, reply), reply)


def read_reply(
    api: Api, body: bytes, text: TextReader | None = None, *, tools: Sequence[RequestTool] = ()
) -> list[GrammarEvent]:
    """The events of a reply that came in one piece, as its stream would have given them. Never raises."""
    reply = Reply(text, tools)
    _dialect(api, reply).read(body, 0)
    reply.cut(len(body))
    return reply.out


def _dialect(api: Api, reply: Reply) -> Dialect:
    match api:
        case Api.CHAT:
            return ChatDialect(reply)
        case Api.RESPONSES:
            return ResponsesDialect(reply)
        case Api.MESSAGES:
            return MessagesDialect(reply)
        case Api.COMPLETIONS:
            return CompletionsDialect(reply)
        case Api.GENERATE:
            return GenerateDialect(reply)
