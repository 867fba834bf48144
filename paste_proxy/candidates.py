"""Which of a predictor's candidates can be calls at all, whatever it may answer, and what they cost.

A guess is held to everything that its tool says of its arguments, as the tool would refuse it: a start that is
refused takes a slot from one that is not.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import msgspec

from paste_proxy.broker.broker import Broker
from paste_proxy.broker.egress import refusal
from paste_proxy.broker.keys import canonical_text
from paste_proxy.config import NetworkConfig, SpeculationConfig
from paste_proxy.errors import InvalidArgumentsError
from paste_proxy.expecting import Expecting
from paste_proxy.grammar.requests import RequestTool
from paste_proxy.grammar.schemas import Schemas
from paste_proxy.predict.model import Candidate, FinishedCall, History
from paste_proxy.predict.value import MONEY, price_at
from paste_proxy.tools.arguments import decode_arguments

PAID = 1
"""Candidates with a price that one turn may have: what is wasted of them is money."""

_encode = msgspec.json.Encoder(order="sorted").encode


class Candidates:
    def __init__(self, broker: Broker, speculation: SpeculationConfig) -> None:
        self._broker = broker
        self._speculation = speculation
        self._schemas = Schemas(())
        """Of our tools, as of `_version` of their table."""
        self._version = -1
        self.kept_back = 0

    def configure(self, speculation: SpeculationConfig) -> None:
        self._speculation = speculation

    def checked(
        self, candidates: Iterable[Candidate], expecting: Expecting, limit: int
    ) -> list[tuple[Candidate, str]]:
        """Those that can be calls, with their canonical arguments. What it raises is the predictor's."""
        found: list[tuple[Candidate, str]] = []
        for candidate in islice(candidates, limit):
            likely = candidate.probability >= self._speculation.min_probability
            if candidate.tool in expecting.tools and likely:
                with suppress(InvalidArgumentsError):  # no call: its tool would refuse it
                    found.append(self._checked(candidate, expecting.schemas))
        return found

    def _checked(self, candidate: Candidate, offered: Schemas) -> tuple[Candidate, str]:
        """Its arguments as if they had come from a model, and canonical. Raises on what is no call."""
        text = json.dumps(candidate.arguments, allow_nan=False)
        spec = self._broker.specs.get(candidate.tool)
        arguments = (
            msgspec.json.decode(text, type=dict[str, Any])
            if spec is None
            else decode_arguments(spec, text.encode())
        )
        schemas = offered if spec is None else self._ours()
        if refusal := schemas.refusal(candidate.tool, arguments, len(text)):
            raise InvalidArgumentsError(f"{candidate.tool}: {refusal}", param="$")
        checked = Candidate(
            candidate.tool,
            arguments,
            round(float(candidate.probability), 4),
            str(candidate.why),
            round(float(candidate.estimate), 4),
        )
        return checked, self.canonical(checked.tool, arguments)

    def _ours(self) -> Schemas:
        specs = self._broker.specs
        if self._version != specs.version:
            self._version = specs.version
            self._schemas = Schemas(tuple(RequestTool(one.name, one.parameters) for one in specs.values()))
        return self._schemas

    def may_leave(
        self, expecting: Expecting, candidate: Candidate, now: float, results: Sequence[FinishedCall] = ()
    ) -> bool:
        """The egress rule, for tools that hand their arguments to others. `results`: those of a chain, which
        count as if they were in the history; what the turn writes belongs to another call then."""
        spec = self._broker.specs.get(candidate.tool)
        if spec is None or not spec.network:
            return True
        rule = self._speculation.network.get(candidate.tool, NetworkConfig())
        history = expecting.session.history.history
        written = {} if results else expecting.written_of(candidate)
        if results:
            history = History([*history.calls, *results], said=history.said)
        refused = refusal(spec, candidate.arguments, written, history, rule)
        if refused and (candidate.tool, refused) not in expecting.kept_back:
            expecting.kept_back.add((candidate.tool, refused))
            expecting.session.note(now, "kept back", tool=candidate.tool, why=refused)
            self.kept_back += 1
        return not refused

    def canonical(self, tool: str, arguments: dict[str, Any]) -> str:
        """Equal for equal calls. Of a tool that the agent runs itself no defaults are known."""
        spec = self._broker.specs.get(tool)
        return canonical_text(spec, arguments) if spec is not None else _encode(arguments).decode()

    def is_paid(self, tool: str) -> bool:
        return tool in self._broker.specs and self._broker.specs[tool].price > 0

    def price(self, tool: str) -> float:
        """Of a wasted second. Nothing runs in the shadow, so there nothing presses."""
        in_shadow = self._speculation.mode == "shadow"
        price = price_at(0.0 if in_shadow else self._broker.pressure(tool))
        return max(price, MONEY) if self.is_paid(tool) else price
