"""What turns' requests say, decoded once: one module for each API, and the one place that knows them all."""

from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.errors import UnreadableRequestError
from paste_proxy.grammar.requests.chat import parse_chat_request
from paste_proxy.grammar.requests.messages import parse_messages_request
from paste_proxy.grammar.requests.model import (
    NO_HINTS,
    ChatRequest,
    Hints,
    Message,
    MessageCall,
    RequestTool,
    chain_of,
    new_message,
)
from paste_proxy.grammar.requests.prompts import parse_completion_request, parse_generate_request
from paste_proxy.grammar.requests.responses import parse_responses_request

__all__ = [
    "NO_HINTS",
    "ChatRequest",
    "Hints",
    "Message",
    "MessageCall",
    "RequestTool",
    "UnreadableRequestError",
    "chain_of",
    "new_message",
    "parse_chat_request",
    "parse_request",
]


def parse_request(api: Api, body: bytes) -> ChatRequest:
    """Read the body of a request. Raises `UnreadableRequestError`."""
    match api:
        case Api.CHAT:
            return parse_chat_request(body)
        case Api.RESPONSES:
            return parse_responses_request(body)
        case Api.MESSAGES:
            return parse_messages_request(body)
        case Api.COMPLETIONS:
            return parse_completion_request(body)
        case Api.GENERATE:
            return parse_generate_request(body)
