"""The tool calls that a block of Python code is certain to make, found line by line as it arrives.

Agents that write code (smolagents) call their tools from it. A logical line is parsed when it is complete, and
never run. Told are calls of tools whose arguments are all literals, in simple statements of the outermost
level, nested in other calls too (`print(search(query="x"))`). Not told: what stands in `if`, `for`, `def` and
the like or in a branch of an expression, since it may not run, or often; arguments that are variables;
positional arguments where the tool's parameters are not known. A call that was told is not made after all if
an earlier line fails, or if the code as a whole does not parse.

Code does more than that. Before the calls of the first line of a block that may act in a way which is not told
(`python_harmless`), the block is told as broken: from there on the agent may do anything.
"""

import ast
import builtins
import json
import re
from collections.abc import Container, Iterator, Mapping, Sequence

from paste_proxy.grammar.formats.python_harmless import HARMLESS, is_harmless, made_names, parse, parse_inner
from paste_proxy.grammar.formats.python_source import SourceScanner
from paste_proxy.grammar.formats.pythonic import Found

LINE_LIMIT = 64 * 1024
"""Characters of one logical line: room for a call with a file in its arguments, and, whatever they are,
less than 0.1 s of parsing. A longer line is not read."""

_BUILTINS = frozenset(dir(builtins))
_WORD = re.compile(r"\w+")
_MAY_MATTER = re.compile(r"[(@]|\b(?:with|class|await|yield|import|async)\b")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)

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

    __slots__ = ("_first", "_functions", "_own", "_parts", "_scanner", "_size", "_tools", "_unclear", "found")

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
        """Names that the code makes itself."""
        self._functions = set(HARMLESS.difference(tools))
        """Python's own that do nothing to the world, and still have their names."""
        self._unclear = False
        """The block was told as broken."""

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
        else:
            self._say_unclear("the block was not closed")
        self._scanner = SourceScanner()
        self._parts.clear()
        self._size = 0
        self._first = True
        self._unclear = False

    def _end_line(self) -> None:
        line = "".join(self._parts)
        long = self._size > LINE_LIMIT
        self._parts.clear()
        self._size = 0
        if long:
            self._first = False
            self._say_unclear("a line that is too long")
            return
        if self._first:  # Agents strip the block before they run it.
            line = line.lstrip()
            self._first = not line
        if self._says_nothing(line):
            return
        if line and not line[0].isspace() and line[0] != "#":
            self._read(line)
        else:
            self._read_inner(line)

    def _says_nothing(self, line: str) -> bool:
        """Whether it need not be parsed, which takes long: it can't call, nor give a known name away."""
        if not self._tools or _MAY_MATTER.search(line):
            return False
        words = _WORD.findall(line)
        return self._functions.isdisjoint(words) and self._tools.keys().isdisjoint(words)

    def _read(self, line: str) -> None:
        """A line of the outermost level."""
        statements = parse(line)
        if not statements:
            self._read_inner(line)
        for statement in statements:
            if isinstance(statement, _DEFINITIONS):
                self._make(statement)
            calls = [(call, news) for call in _calls(statement) if (news := self._news(call))]
            self._judge(statement, {id(call) for call, _ in calls})
            for _, news in calls:
                self.found += news
            self._make(statement)

    def _read_inner(self, line: str) -> None:
        """A line that belongs to a longer statement: nobody knows whether it runs, or how often."""
        statements = parse_inner(line)
        if not statements and line.strip() and not line.lstrip().startswith("#"):
            self._say_unclear("code that can't be read")
        for statement in statements:
            self._judge(statement, frozenset())
            self._make(statement)

    def _judge(self, statement: ast.stmt, told: Container[int]) -> None:
        if not self._unclear and not is_harmless(statement, self._functions, told):
            self._say_unclear("code that may do more than it tells")

    def _make(self, statement: ast.stmt) -> None:
        names = set(made_names(statement))
        self._own |= names
        self._functions -= names

    def _say_unclear(self, why: str) -> None:
        if not self._unclear:
            self._unclear = True
            self.found.append(("broken", why))

    def _news(self, call: ast.Call) -> list[Found]:
        """What is told of a call; nothing if it may not be one of a tool, or its arguments are not known."""
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        if not name or name in self._own:
            return []
        if (name not in self._tools) if self._tools else (name in _BUILTINS):
            return []
        arguments = _arguments(call, self._tools.get(name, ()))
        return [("open", name), ("text", arguments), ("close", "")] if arguments is not None else []


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
