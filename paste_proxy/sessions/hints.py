"""What a client says of its request's urgency: a hint for the order in the queue, never a command.

Whoever says nothing has 0. Names, the most telling first:

1. `x-paste-priority`: for this proxy; 2. `nvext.agent_hints.priority`: Dynamo's. Higher is sooner;
3. `x-vllm-priority` (vLLM) and `x-override-priority` (SGLang, where it is told to look for it);
4. the body's `priority`. The last two are meant for the engine, and count as it counts.
"""

from collections.abc import Mapping

from paste_proxy.grammar.requests import Hints

LEAST, MOST = -10, 10
"""Steps up and down: SGLang pre-empts beyond a distance of 10, so that no engine's band has more."""
OWN = "x-paste-priority"
ENGINES = ("x-vllm-priority", "x-override-priority")
_DIGITS = 20
"""Characters of a number in a header: more is none that any engine takes."""


def priority_of(headers: Mapping[str, str], hints: Hints, *, most: int, lower_first: bool = False) -> int:
    """From `LEAST` up to `most`, which is the tenant's; higher is sooner. `lower_first`: as the engine counts.

    What is no whole number is passed over: a hint makes nobody's request fail.
    """
    given = {name.lower(): value for name, value in headers.items() if name.lower() in (OWN, *ENGINES)}
    told = _first(_whole(given.get(OWN, "")), hints.agent_priority)
    if told is None:
        told = _first(*(_whole(given.get(name, "")) for name in ENGINES), hints.priority)
        if told is not None and lower_first:
            told = -told
    return max(LEAST, min(most, told or 0))


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _whole(text: str) -> int | None:
    try:
        return int(text) if 0 < len(text) <= _DIGITS else None
    except ValueError:
        return None
