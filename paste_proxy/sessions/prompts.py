"""Where sessions wait whose history is one text: the next prompt begins with the last one and its reply.

Nothing in a prompt says where a reply ended, so the sizes at which sessions wait are known here, and a prompt's
beginnings of just these sizes are looked up.
"""

from collections import Counter
from heapq import nlargest

from paste_proxy.sessions.lineage import Scope

SIZES_TRIED = 256
"""Of one prompt, the longest first: a microsecond each, beside the pass over the prompt."""


class PromptEnds:
    """Counts the sizes at which sessions of a scope wait; in bytes without white space."""

    def __init__(self) -> None:
        self._sizes: dict[Scope, Counter[int]] = {}

    def __len__(self) -> int:
        return len(self._sizes)

    def add(self, scope: Scope, size: int) -> None:
        self._sizes.setdefault(scope, Counter())[size] += 1

    def remove(self, scope: Scope, size: int) -> None:
        sizes = self._sizes[scope]
        sizes[size] -= 1
        if not sizes[size]:
            del sizes[size]
            if not sizes:
                del self._sizes[scope]

    def below(self, scope: Scope, size: int) -> list[int]:
        """The sizes that a longer prompt's beginning may have, the longest first."""
        sizes = self._sizes.get(scope)
        return nlargest(SIZES_TRIED, (one for one in sizes if one < size)) if sizes else []
