"""Texts that are about one format (`texts.yaml`)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import orjson

from tests.conformance.parsers.writers import WRITERS, Writer

TEXTS = Path(__file__).parent / "texts.yaml"


class Literal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One text, and what stands in it."""

    text: str
    calls: tuple[dict[str, dict[str, Any]], ...] = ()
    """Each a name and its arguments."""
    content: str = ""
    reasoning: str = ""


def literals() -> Iterator[tuple[Writer, str, Literal]]:
    """Format, name and text."""
    by_name = {writer.name: writer for writer in WRITERS}
    texts = msgspec.yaml.decode(TEXTS.read_bytes(), type=dict[str, dict[str, Literal]])
    for writer, named in texts.items():
        for name, literal in named.items():
            yield by_name[writer], name, literal


def calls_of(literal: Literal) -> tuple[tuple[str, str], ...]:
    """Names and JSON texts of arguments."""
    return tuple(
        (name, orjson.dumps(arguments).decode()) for one in literal.calls for name, arguments in one.items()
    )
