"""How many tokens everything counts, and how long a remote service takes: as drawn, whatever the text is.

Results are drawn by what is asked for: the query, the reference in a result's address, the page or path that
no result named. Queries, and so the references to them, belong to one step of one task. Hence a speculated
call and the real one, in any cell and on any machine, have the same size and take the same time.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from paste_proxy.lab.conversation import Conversation, WireMessage
from paste_proxy.lab.workload import Draws, Workload

SEARCH, OPEN, READ = "docs_search", "docs_open", "files_read"
SUBJECT = {SEARCH: "query", OPEN: "address", READ: "path"}
"""Of each tool the argument that says what it is about."""

ADDRESS = "pydoc://"
"""How the demo's documentation service names its pages; results add a reference, `?ref=...`."""
REFERENCE = "?ref="

CHARACTERS_PER_TOKEN = 4
"""English text comes to about four characters per token with today's vocabularies."""


class Sizes:
    """`token_scale` shrinks everything, for engines that hold less context; `output_scale`, where it is given,
    what the model writes, for those that write more slowly beside what they read."""

    def __init__(self, workload: Workload, token_scale: float = 1.0, output_scale: float | None = None) -> None:
        self._workload = workload
        self._scale = token_scale
        self._output_scale = token_scale if output_scale is None else output_scale
        self._services = Draws(str(workload.seed))

    def system(self) -> int:
        """The system prompt with the tools' schemas."""
        return self._scaled(self._workload.tokens.system_and_tools)

    def user(self, task: int) -> int:
        return self._scaled(self._workload.draws(task).size(self._workload.tokens.user, "user"))

    def turn(self, task: int, step: int, *, final: bool) -> int:
        """Output tokens of a task's turn `step`, counted from 0."""
        tokens = self._workload.tokens
        size = tokens.final_answer if final else tokens.turn_output.size
        return _scaled(self._workload.draws(task).size(size, step, "output"), self._output_scale)

    def result(self, tool: str, arguments: Mapping[str, Any]) -> int:
        tokens = self._workload.tokens
        size = tokens.search_result if _kind(tool) == "search" else tokens.page
        return self._scaled(self._services.size(size, "tokens", tool, drawn_by(tool, arguments)))

    def seconds(self, tool: str, arguments: Mapping[str, Any]) -> float:
        """What the remote service takes, unscaled."""
        seconds = self._workload.tool_seconds
        size = seconds.search if _kind(tool) == "search" else seconds.open
        return self._services.size(size, "seconds", tool, drawn_by(tool, arguments))

    def messages(self, messages: Sequence[WireMessage], conversation: Conversation) -> list[int]:
        """Of every message of a request."""
        calls = {call.call_id: call for call in conversation.calls}
        turn, counts = 0, []
        for message in messages:
            if message.role == "tool":
                call = calls[message.tool_call_id or ""]
                counts.append(self.result(call.tool, call.arguments))
            elif message.role == "assistant":
                counts.append(self.turn(conversation.task, turn, final=not message.tool_calls))
                turn += 1
            elif message.role == "user":
                counts.append(self.user(conversation.task))
            else:
                counts.append(self.system())
        return counts

    def _scaled(self, tokens: float) -> int:
        return _scaled(tokens, self._scale)


def _scaled(tokens: float, scale: float) -> int:
    return max(1, round(tokens * scale))


def reference(query: str, place: int) -> str:
    """What a search adds to the address of its result number `place`, as search services do."""
    return f"{REFERENCE}{hashlib.sha256(query.encode()).hexdigest()[:8]}-{place}"


def drawn_by(tool: str, arguments: Mapping[str, Any]) -> str:
    """What a result's draws depend on: of an address its reference, whichever page that is here."""
    subject = str(arguments[SUBJECT[tool]])
    return subject.partition(REFERENCE)[2] or subject


def _kind(tool: str) -> Literal["search", "open"]:
    return "search" if tool == SEARCH else "open"
