"""Long texts take linear time, in one piece and character by character: quadratic time would be hours here."""

import time
from collections.abc import Callable

import pytest

from paste_proxy.grammar.formats.protocols_fenced import BlockReader, CodeBody, CommandBody
from paste_proxy.grammar.formats.protocols_react import ReactReader
from paste_proxy.grammar.formats.python_literal import LiteralStream
from paste_proxy.grammar.formats.pythonic import CallList

MANY = 300_000


def shell() -> BlockReader:
    return BlockReader(lambda found: CommandBody("bash", "command", found), languages={"bash"})


def code() -> BlockReader:
    return BlockReader(lambda found: CodeBody({}, found), tags=("<code>", "</code>"))


TEXTS: list[tuple[str, Callable[[], LiteralStream | CallList | BlockReader | ReactReader], str]] = [
    ("string", LiteralStream, "'" + "a" * MANY),
    ("escapes", LiteralStream, "'" + "\\n" * MANY),
    ("quotes", LiteralStream, "'''" + "''a" * MANY),
    ("numbers", LiteralStream, "[" + "1, " * MANY),
    ("tuples", LiteralStream, "(" + "(1, 2), " * (MANY // 4)),
    ("held", LiteralStream, "(" + "'a' " * MANY),
    ("calls", CallList, "[" + "f(a=1), " * (MANY // 8)),
    ("skipped", CallList, "[f(a=1), g(x " + "[" * MANY),
    ("blanks", CallList, " " * MANY),
    ("command", shell, "```bash\n" + "a \n" * MANY),
    ("white space", shell, "```bash\nx" + " " * MANY + "y"),
    ("ticks", shell, "`" * MANY),
    ("blocks", shell, "```bash\nx\n```\n" * (MANY // 16)),
    ("lines", code, "<code>" + "x = 1\n" * (MANY // 8)),
    ("brackets", code, "<code>" + "(" * MANY),
    ("lesser", code, "<code>" + "<" * MANY),
    ("input", lambda: ReactReader({}), "Action: f\nAction Input: " + '" x\n' * MANY),
    ("input quotes", lambda: ReactReader({}), "Action: f\nAction Input: x" + '"' * MANY + "y"),
    ("object", lambda: ReactReader({}), "Action: f\nAction Input: {" + '"a": [' * MANY),
    ("prose", lambda: ReactReader({}), "a:\n" * MANY),
    ("closers", lambda: ReactReader({}, bracketed=True), "Action: f[" + "]" * MANY),
]


@pytest.mark.parametrize(("make", "text"), [pytest.param(make, text, id=name) for name, make, text in TEXTS])
def test_time_is_linear(
    make: Callable[[], LiteralStream | CallList | BlockReader | ReactReader], text: str
) -> None:
    begun = time.process_time()
    make().feed(text)
    reader = make()
    for char in text:
        reader.feed(char)
    assert time.process_time() - begun < 20
