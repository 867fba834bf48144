"""The tools of a client's process: all of them for the agent, those that fit into one `hello` for the proxy.

One too many would have the proxy refuse all of them, each time anew. A tool that is left out is run as if
unwrapped, and its calls, which the proxy sees in the stream, count there as those of any tool of the agent's.
"""

from collections.abc import Iterable, Mapping

from paste_proxy.client.protocol import MESSAGE_LIMIT, TOOLS_LIMIT, OfferedTool, encode_tool, offered
from paste_proxy.tools.spec import ToolSpec

ENVELOPE_BYTES = 64 * 1024
"""What a `hello` holds beside its tools: the names of 256 that were run unseen, above all."""


class Offers:
    def __init__(self) -> None:
        self.specs: dict[str, ToolSpec] = {}
        self.left_out: Mapping[str, str] = {}
        """By tool, why the proxy is not told of it."""
        self._offers: dict[str, OfferedTool] = {}
        self._sizes: dict[str, int] = {}

    def add(self, specs: Iterable[ToolSpec]) -> None:
        """A later one of the same name takes the place of the former."""
        for spec in specs:
            self.specs[spec.name], self._offers[spec.name] = spec, offered(spec)
            self._sizes[spec.name] = len(encode_tool(self._offers[spec.name]))
        self.left_out = self._left_out()

    @property
    def told(self) -> tuple[OfferedTool, ...]:
        return tuple(tool for name, tool in self._offers.items() if name not in self.left_out)

    def unseen(self, ran: Iterable[str]) -> tuple[str, ...]:
        """What to say of tools that were run unseen. One that the proxy does not know wrote everything: so none
        is missing if it is the first, wherever the list has to end."""
        return tuple(sorted(ran, key=lambda name: (name not in self.left_out, name)))[:TOOLS_LIMIT]

    def _left_out(self) -> dict[str, str]:
        left_out: dict[str, str] = {}
        room, count = MESSAGE_LIMIT - ENVELOPE_BYTES, 0
        for name, size in self._sizes.items():
            if count == TOOLS_LIMIT:
                left_out[name] = f"a proxy takes {TOOLS_LIMIT} tools of one process"
            elif size > room:
                left_out[name] = f"a proxy takes {MESSAGE_LIMIT} bytes of tools of one process"
            else:
                room, count = room - size - 1, count + 1
        return left_out
