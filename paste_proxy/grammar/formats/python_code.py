"""The tool calls that a block of Python code is certain to make, found line by line as it arrives.

Agents that write code (smolagents) call their tools from it. A logical line is parsed when it is complete, and
never run. Told are calls of tools whose arguments are all literals, in simple statements of the outermost
level, nested in other calls too (`print(search(query="x"))`). Not told: what stands in `if`, `for`, `def` and
the like or in a branch of an expression, since it may not run, or often; arguments that are variables;
positional arguments where the tool's parameters are not known. A call that was told is not made after all if
an earlier line fails, or if the code as a whole does not parse.
"""

import ast
import builtins
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence

from paste_proxy.grammar.formats.python_source import SourceScanner
from paste_proxy.grammar.formats.pythonic import Found

LINE_LIMIT = 64 * 1024
"""Characters of one logical line: room for a call with a file in its arguments, and, whatever they are,
less than 0.1 s of parsing. A longer line is not read."""

_BUILTINS = frozenset(dir(builtins))
_DEFINED = re.compile(r"(?:async\s+def|def|class)\s+(\w+)")

_EVALUATED: dict[type[ast.AST], tuple[str, ...]] = {
    ast.Expr: ("value",),
    ast.Assign: ("value",),
    ast.AnnAssign: ("value",),
    ast.AugAssign: ("value",),
    ast.Call: ("func", "args", "keywords"),
    ast.keyword: ("value",),
    ast.Attribute: ("value",),
    ast.Subscript: ("value", "slice"),
    ast.BinOp: ("left", "right"),
    ast.UnaryOp: ("operand",),
    ast.JoinedStr: ("values",),
    ast.FormattedValue: ("value",),
    ast.List: ("elts",),
    ast.Tuple: ("elts",),
    ast.Set: ("elts",),
    ast.Dict: ("keys", "values"),
    ast.Starred: ("value",),
    ast.NamedExpr: ("value",),
    ast.Compare: ("left",),
    ast.IfExp: ("test",),
}
"""The parts of statements and expressions that are evaluated whenever these are."""


class CodeReader:
    """Reads one block of code piece by piece, in linear time. Never raises."""

    __slots__ = ("_first", "_own", "_parts", "_scanner", "_size", "_tools", "found")

    def __init__(self, tools: Mapping[str, Sequence[str]]) -> None:
        """`tools`: the names of the parameters of each tool, in their order. If no tool is known, every plain
        name is taken for one that is neither Python's nor defined or imported by the code."""
        self.found: list[Found] = []
        """The calls, as of `CallList`; the caller takes and clears."""
        self._tools = tools
        self._scanner = SourceScanner()
        self._parts: list[str] = []
        self._size = 0
        self._first = True
        self._own: set[str] = set()
        """Names that the code defines itself."""

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            stop = self._scanner.feed(text, at)
            self._size += stop - at
            if self._size <= LINE_LIMIT:
                self._parts.append(text[at:stop])
            else:
                self._parts.clear()
            at = stop
            if self._scanner.line_ended:
                self._end_line()

    def end(self, *, whole: bool) -> None:
        """The block is over, and if it is `whole`, so is its last line. Another block may follow."""
        if whole:
            self._end_line()
        self._scanner = SourceScanner()
        self._parts.clear()
        self._size = 0
        self._first = True

    def _end_line(self) -> None:
        line = "".join(self._parts)
        self._parts.clear()
        self._size = 0
        if self._first:  # Agents strip the block before they run it.
            line = line.lstrip()
            self._first = not line
        if line and not line[0].isspace() and line[0] != "#":
            self._read(line)

    def _read(self, line: str) -> None:
        defined = _DEFINED.match(line)
        if defined is not None:
            self._own.add(defined[1])
        if "(" not in line and "import" not in line:
            return
        for statement in _parse(line):
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                self._own.update((name.asname or name.name).partition(".")[0] for name in statement.names)
            for call in _calls(statement):
                self._tell(call)

    def _tell(self, call: ast.Call) -> None:
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        if not name or name in self._own:
            return
        if (name not in self._tools) if self._tools else (name in _BUILTINS):
            return
        arguments = _arguments(call, self._tools.get(name, ()))
        if arguments is not None:
            self.found += (("open", name), ("text", arguments), ("close", ""))


def _parse(line: str) -> list[ast.stmt]:
    """The statements of one logical line; none if it is not a whole one."""
    try:
        with warnings.catch_warnings():  # Of escapes like `\d`, which are the model's affair.
            warnings.simplefilter("ignore")
            return ast.parse(line).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _calls(statement: ast.stmt) -> Iterator[ast.Call]:
    """The calls that a statement makes whatever happens, in the order in which they are made."""
    calls = [node for node in _evaluated(statement) if isinstance(node, ast.Call)]
    return iter(sorted(calls, key=lambda call: (call.end_lineno or 0, call.end_col_offset or 0)))


def _evaluated(statement: ast.AST) -> Iterator[ast.AST]:
    waiting = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        for field in _EVALUATED.get(type(node), ()):
            value = getattr(node, field)
            waiting.extend(
                child for child in (value if isinstance(value, list) else [value]) if child is not None
            )


def _arguments(call: ast.Call, parameters: Sequence[str]) -> str | None:
    """The arguments of a call as JSON; None if they are not all known."""
    if len(call.args) > len(parameters):
        return None
    given: list[tuple[str, ast.expr]] = list(zip(parameters, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg is None:
            return None
        given.append((keyword.arg, keyword.value))
    if len({name for name, _ in given}) < len(given):
        return None
    try:
        values = {name: ast.literal_eval(value) for name, value in given}
        return json.dumps(values, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None
