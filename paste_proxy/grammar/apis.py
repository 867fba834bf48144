"""The APIs whose turns can be read: requests by `requests`, replies by `dialects`."""

from enum import Enum


class Api(Enum):
    """By path: what the client posts to."""

    CHAT = "/v1/chat/completions"
    RESPONSES = "/v1/responses"
    MESSAGES = "/v1/messages"
    COMPLETIONS = "/v1/completions"
    GENERATE = "/generate"
