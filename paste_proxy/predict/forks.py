"""A memory that goes another way: what would be expected if a call were asked for and gave a result.

A result that nobody may see yet is read into a fork and nowhere else. A fork has a copy of all that is ever
changed, and shares what is not: keys, places, and the ledger, from which it only reads.
"""

from collections import OrderedDict
from copy import copy
from typing import Any

from paste_proxy.predict.heard import Heard
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.places import Origin


def forked(memory: Memory) -> Memory:
    """A copy in which what was supposed is taken back: half a millisecond for 500 values, 3 ms for the most."""
    asked, supposed = memory.asked, memory.supposed
    memory.settle()
    fork = _copy(memory)
    for tool, arguments in supposed:
        memory.suppose(tool, arguments)
    memory.asked = asked
    return fork


def _copy(memory: Memory) -> Memory:
    fork = copy(memory)
    for name, kept in vars(memory).items():
        setattr(fork, name, _copied(kept))
    origins = _Twins()
    twins = {key: value.twin(origins) for key, value in memory.values.items()}
    fork.values = OrderedDict(twins)
    fork.by_mask = {mask: {key: twins[key] for key in group} for mask, group in memory.by_mask.items()}
    fork.origins = {source: origins[origin] for source, origin in memory.origins.items()}
    for origin, twin in origins.items():
        twin.values = {key: twins[key] for key in origin.values}
    fork.ties = memory.ties.twin()
    fork.heard, fork.looks = Heard(), []
    return fork


class _Twins(dict[Origin, Origin]):
    """One for each that is asked for; those, too, that only values know still."""

    def __missing__(self, origin: Origin) -> Origin:
        twin = self[origin] = Origin(origin.source)
        twin.newest = origin.newest
        return twin


def _copied(kept: Any) -> Any:
    """Of dicts, lists, and the dicts and lists in a dict. What else it holds is never changed."""
    if not isinstance(kept, dict | list):
        return kept
    copied = kept.copy()
    if isinstance(copied, dict):
        nested = {name: part.copy() for name, part in copied.items() if isinstance(part, dict | list)}
        copied.update(nested)
    return copied
