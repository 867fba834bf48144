"""Values that formats write as plain text between tags: what each means only the tool's schema can say.

Numbers, words and quotes as models really write them, beside what the parameter is declared to be.
"""

import json
from collections.abc import Iterator

from tests.conformance.parsers.forms import Texts
from tests.conformance.parsers.writers import WRITERS, Writer

TYPED_PARAMETERS = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "maybe": {"type": ["string", "null"]},
        "either": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "id": {"type": ["integer", "string"]},
        "level": {"$ref": "#/$defs/Level"},
        "size": {"$ref": "#/$defs/Size"},
        "flag": {"type": "boolean"},
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "items": {"type": "array", "items": {}},
        "options": {"type": "object"},
        "free": {"description": "of any type"},
        "x-dash": {"type": "string"},
        "dotted.key": {"type": "string"},
        "$dollar": {"type": "string"},
    },
    "$defs": {"Level": {"enum": ["low", "high"]}, "Size": {"type": "integer", "enum": [1, 2, 3]}},
}
"""Of the tool `typed`."""

_VALUES: tuple[tuple[str, str, str, object], ...] = (
    ("text_number", "text", "007", "007"),
    ("text_null", "text", "null", "null"),
    ("text_none", "text", "None", "None"),
    ("text_list", "text", "[1, 2]", "[1, 2]"),
    ("text_object", "text", '{"a": 1}', '{"a": 1}'),
    ("text_quoted", "text", '"quoted"', '"quoted"'),
    ("text_escapes", "text", r"C:\new\table \u0041", r"C:\new\table \u0041"),
    ("text_entities", "text", "a &amp; b &lt;c&gt;", "a &amp; b &lt;c&gt;"),
    ("text_cdata", "text", "<![CDATA[x < y]]>", "<![CDATA[x < y]]>"),
    ("text_empty", "text", "", ""),
    ("text_blanks", "text", "  a  ", "  a  "),
    ("text_begins_with_line", "text", "\n\na", "\n\na"),
    ("text_ends_with_line", "text", "a\n\n", "a\n\n"),
    ("text_only_line", "text", "\n", "\n"),
    ("text_indented", "text", "    if a:\n        b\n", "    if a:\n        b\n"),
    ("maybe_null", "maybe", "null", None),
    ("maybe_none", "maybe", "None", None),
    ("maybe_text", "maybe", "nullable", "nullable"),
    ("either_number", "either", "5", 5),
    ("either_null", "either", "null", None),
    ("id_number", "id", "7", 7),
    ("id_text", "id", "x7", "x7"),
    ("level", "level", "low", "low"),
    ("size", "size", "2", 2),
    ("flag_json", "flag", "true", True),
    ("flag_python", "flag", "True", True),
    ("flag_python_false", "flag", "False", False),
    ("flag_word", "flag", "yes", "yes"),
    ("count_blanks", "count", " 3 ", 3),
    ("count_word", "count", "three", "three"),
    ("count_fraction", "count", "3.0", 3.0),
    ("count_huge", "count", "12345678901234567890123", 12345678901234567890123),
    ("ratio_integer", "ratio", "5", 5),
    ("ratio_exponent", "ratio", "1e3", 1e3),
    ("items_json", "items", '["a", 1, null]', ["a", 1, None]),
    ("items_python", "items", "['a', None, True]", ["a", None, True]),
    ("items_lines", "items", '[\n  "a",\n  "b"\n]', ["a", "b"]),
    ("items_no_list", "items", "a, b", "a, b"),
    ("options_json", "options", '{"a": {"b": "c"}}', {"a": {"b": "c"}}),
    ("options_python", "options", "{'a': {'b': False}}", {"a": {"b": False}}),
    ("options_empty", "options", "{}", {}),
    ("free_number", "free", "12", 12),
    ("free_word", "free", "word", "word"),
    ("free_object", "free", '{"a": 1}', {"a": 1}),
    ("free_words", "free", "12 monkeys", "12 monkeys"),
)
"""Name, parameter, text, and what it means."""


_TEXT_WHERE_UNTYPED = ("qwen3_coder", "minimax-m2")
"""Their own code, and every parser, takes a parameter without a type for a string."""


def typed_texts() -> Iterator[tuple[Writer, str, str, str]]:
    """Format, name, text, and the JSON text of the arguments."""
    for writer in WRITERS:
        if writer.tags is None:
            continue
        for name, key, text, value in _VALUES:
            if key == "free" and writer.name in _TEXT_WHERE_UNTYPED:
                value = text
            texts: Texts = [(key, text, isinstance(value, str))]
            yield writer, f"typed_{name}", writer.tags("typed", texts), json.dumps({key: value})
