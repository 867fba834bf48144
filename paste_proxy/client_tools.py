"""What the configuration says of the tools that agents run themselves: where they write, and for how long.

The proxy sees such a call in the stream, and its result in a later request; what happens between them it is
told here or not at all. Of a tool that nothing is said of, anything is assumed.
"""

from collections.abc import Mapping

from paste_proxy.config import ClientToolConfig
from paste_proxy.tools.spec import GLOBAL_SCOPE

EVERYTHING = frozenset({GLOBAL_SCOPE})
ALL_OTHERS = "*"
"""In the place of a name: the tools that are not listed."""
OWN_SCOPE = "session"
"""As a scope that a client's tool writes: what is its own session's."""


class ClientTools:
    def __init__(self, listed: Mapping[str, ClientToolConfig]) -> None:
        self._listed = listed
        self._others = listed.get(ALL_OTHERS, ClientToolConfig())

    def writes(self, tool: str, own: frozenset[str]) -> frozenset[str]:
        """The scopes that its calls write, where `own` is what is the session's own."""
        scopes = frozenset(self._of(tool).writes)
        if OWN_SCOPE not in scopes:
            return scopes
        return scopes - {OWN_SCOPE} | own if own else EVERYTHING

    def lasts(self, tool: str) -> float:
        """Seconds after the end of the turn that asked for it."""
        return self._of(tool).timeout_s

    def is_read(self, tool: str) -> bool:
        return not self._of(tool).writes

    def is_write(self, tool: str) -> bool:
        """Listed as one: what is said of all others is caution, not knowledge."""
        return tool in self._listed and bool(self._listed[tool].writes)

    def _of(self, tool: str) -> ClientToolConfig:
        return self._listed.get(tool, self._others)
