"""Whether a line of Python code does nothing to the world but what its told calls do.

An agent runs the code, so a line that may do more is a write that nobody told of. In doubt it is one: harmless
are Python's operators, literals and some of its functions, and what changes names alone. Values are taken for
plain ones; whatever could make others (a call, a class, a module of the agent's own) is not harmless itself.
"""

import ast
import re
import sys
import warnings
from collections.abc import Container, Iterator

HARMLESS: frozenset[str] = frozenset(
    [
        "abs",
        "all",
        "any",
        "ascii",
        "bin",
        "bool",
        "bytes",
        "chr",
        "complex",
        "divmod",
        "enumerate",
        "float",
        "format",
        "hash",
        "hex",
        "id",
        "int",
        "isinstance",
        "len",
        "list",
        "max",
        "min",
        "oct",
        "ord",
        "print",
        "range",
        "repr",
        "reversed",
        "round",
        "set",
        "slice",
        "sorted",
        "str",
        "sum",
        "tuple",
        "zip",
    ]
)
"""Functions that call none of what they are given, nor do anything that outlives the code."""
_KEYWORDS = frozenset(
    ["default", "encoding", "end", "errors", "flush", "reverse", "sep", "start", "step", "strict"]
)
"""Their arguments that are no functions, files and the like (`key=`, `file=`)."""
_ACTS: tuple[type[ast.AST], ...] = (
    ast.With,
    ast.AsyncWith,
    ast.AsyncFor,
    ast.ClassDef,
    ast.Await,
    ast.YieldFrom,
)
"""What calls methods without looking like a call, and what makes things that do."""
_FIRST_WORD = re.compile(r"[a-z]+")
_AROUND: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("if", "for", "while", "def"), ("", "\n pass")),
    **dict.fromkeys(("elif", "else"), ("if 0:\n pass\n", "\n pass")),
    **dict.fromkeys(("except", "finally"), ("try:\n pass\n", "\n pass")),
    "try": ("", "\n pass\nfinally:\n pass"),
    "match": ("", "\n case _: pass"),
    "case": ("match 0:\n ", "\n  pass"),
}
"""What makes a whole statement of a line that begins with this word, by itself or in another's body."""


def parse(line: str) -> list[ast.stmt]:
    """The statements of one logical line; none if it is not a whole one."""
    try:
        with warnings.catch_warnings():  # Of escapes like `\\d`, which are the model's affair.
            warnings.simplefilter("ignore")
            return ast.parse(line).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def parse_inner(line: str) -> list[ast.stmt]:
    """As `parse`, of a line that may be part of a longer statement, or stand in its body."""
    line = line.strip()
    word = _FIRST_WORD.match(line)
    before, behind = _AROUND.get(word[0], ("", "")) if word is not None else ("", "")
    return parse(line) or parse(before + line + behind)


def is_harmless(statement: ast.stmt, functions: Container[str], told: Container[int] = frozenset()) -> bool:
    """`functions`: those of `HARMLESS` that are still what they were; `told`: the ids of the told calls."""
    return all(_is_harmless_node(node, functions, told) for node in ast.walk(statement))


def made_names(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case (
                ast.AsyncFunctionDef(name=name)
                | ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
            ):
                yield name
            case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)) | ast.arg(arg=name):
                yield name
            case ast.alias(name=name, asname=renamed):
                yield (renamed or name).partition(".")[0]


def _is_harmless_node(node: ast.AST, functions: Container[str], told: Container[int]) -> bool:
    match node:
        case ast.Call():
            return id(node) in told or _is_harmless_call(node, functions)
        case ast.FunctionDef(decorator_list=decorators) | ast.AsyncFunctionDef(decorator_list=decorators):
            return not decorators
        case ast.Import(names=modules):
            return all(_is_python_s(module.name) for module in modules)
        case ast.ImportFrom(module=module, level=level, names=names):
            return not level and _is_python_s(module or "") and all(name.name != "*" for name in names)
        case _:
            return not isinstance(node, _ACTS)


def _is_harmless_call(call: ast.Call, functions: Container[str]) -> bool:
    return (
        isinstance(call.func, ast.Name)
        and call.func.id in functions
        and all(keyword.arg in _KEYWORDS for keyword in call.keywords)
    )


def _is_python_s(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names
