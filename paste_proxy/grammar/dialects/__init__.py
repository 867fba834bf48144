"""How APIs say a reply: one module each, all telling a `Reply`; and the one place that knows them all."""

from enum import Enum

from paste_proxy.grammar.dialects.chat import ChatDialect
from paste_proxy.grammar.dialects.completions import CompletionsDialect
from paste_proxy.grammar.dialects.generate import GenerateDialect
from paste_proxy.grammar.dialects.messages import MessagesDialect
from paste_proxy.grammar.dialects.responses import ResponsesDialect
from paste_proxy.grammar.events import GrammarEvent
from paste_proxy.grammar.reply import Dialect, Reply, StreamReader


class Api(Enum):
    """The APIs whose replies can be read."""

    CHAT = "/v1/chat/completions"
    RESPONSES = "/v1/responses"
    MESSAGES = "/v1/messages"
    COMPLETIONS = "/v1/completions"
    GENERATE = "/generate"


def stream_reader(api: Api) -> StreamReader:
    """For one streamed reply."""
    reply = Reply()
    return StreamReader(_dialect(api, reply), reply)


def read_reply(api: Api, body: bytes) -> list[GrammarEvent]:
    """The events of a reply that came in one piece, as its stream would have given them. Never raises."""
    reply = Reply()
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
