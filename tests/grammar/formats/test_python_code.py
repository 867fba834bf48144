"""Of Python code those calls are told that are sure to be made, with the arguments they will have."""

import json
import textwrap
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.formats.python_code import LINE_LIMIT, CodeReader
from paste_proxy.grammar.formats.pythonic import Found
from tests.grammar.formats.found import CUTS, calls, pieces

TOOLS = {"search": ("query", "limit"), "visit": ("url",), "now": ()}


def run(code: str, lengths: list[int] | None = None, tools: dict[str, tuple[str, ...]] = TOOLS) -> list[Found]:
    reader = CodeReader(tools)
    for piece in pieces(code, lengths or []):
        reader.feed(piece)
    reader.end(whole=True)
    return reader.found


CODE = textwrap.dedent(
    '''\
    pages = search(query="a b")
    print(search("c", limit=2), visit(url=f"{pages[0]}"), now())
    first = [visit("u")[0], *search("""two
    lines""")]
    answer: str = visit(  # why
        url='x',
    ).text + search("d"); now()
    total += search("e") == search("not sure")
    search("f") or search("not sure")
    x = search("g") if now() else 0
    print(f"{search('h')}", {"k": visit("i")}, (y := search("j")))
    '''
)


@given(CUTS)
def test_calls_that_are_sure_to_be_made_are_told_in_their_order(lengths: list[int]) -> None:
    assert calls(run(CODE, lengths)) == [
        ("search", {"query": "a b"}),
        ("search", {"query": "c", "limit": 2}),
        ("now", {}),
        ("visit", {"url": "u"}),
        ("search", {"query": "two\nlines"}),
        ("visit", {"url": "x"}),
        ("search", {"query": "d"}),
        ("now", {}),
        ("search", {"query": "e"}),
        ("now", {}),
        ("search", {"query": "h"}),
        ("visit", {"url": "i"}),
        ("search", {"query": "j"}),
    ]


@pytest.mark.parametrize(
    "code",
    [
        "if x:\n    search('a')",
        "if x: search('a')",
        "for q in ['a']:\n    search(q)\n    search('a')",
        "while search('a'): pass",
        "def f():\n    search('a')",
        "try:\n    search('a')\nexcept E:\n    search('b')",
        "with f() as g: search('a')",
        "[search('a') for _ in x]",
        "lambda: search('a')",
        "x and search('a')",
        "search(x)",
        "search(query=x)",
        "search(query='a' + b)",
        "search('a', *b)",
        "search('a', **b)",
        "search('a', 1, 2)",
        "search('a', query='b')",
        "search(query={1, 2})",
        "search(query=b'x')",
        "search(query=1e999)",
        "search(query=1j)",
        "other('a')",
        "obj.search('a')",
        "search('a'",
        "search('a') search('b')",
        "\x00search('a')",
    ],
)
def test_calls_that_may_not_be_made_or_not_so_are_not_told(code: str) -> None:
    assert [kind for kind, _ in run(code + "\n")] == ["broken"]


HARMLESS = (
    *(
        "def search(query):",
        "# search('a')",
        "'''search('a')'''",
        "x = 1",
        "x += y[0].z",
        "import json, os.path",
    ),
    *("print(x, f'{x!r}', len(y), end='')", "for q in sorted(x, reverse=True):\n    print(q)\n    x[q] = -q"),
    "if x:  # search('a')\n    pass\nelif [  # no\ny]:\n    x = 1\nelse:\n    del x",
    "try:\n    raise x\nexcept (A, B) as e:\n    print(e)\nfinally:\n    assert x",
    "match x:\n    case [1, y] | {'a': y}:\n        print(y)",
    *(
        "from collections import Counter as C",
        "def f(a=1):\n    return a",
        "while x: x -= 1",
        "x = [y for y in z]",
    ),
)


@pytest.mark.parametrize("code", HARMLESS)
def test_code_that_changes_nothing_but_names_is_harmless(code: str) -> None:
    assert run(code) == []


@pytest.mark.parametrize(
    "code",
    [
        *(
            "os.system('x')",
            "exec('x')",
            "with x:\n    pass",
            "class A:\n    pass",
            "await x",
            "import tools",
            "go()",
        ),
        *(
            "from . import json",
            "from os import *",
            "@f\ndef g(): pass",
            "def f(a=go()):\n    pass",
            "f = lambda: go()",
        ),
        *(
            "print = search\nprint('a')",
            "from os import system as len\nlen('a')",
            "for print in x:\n    print(1)",
        ),
        *(
            "def len(x):\n    pass\nlen('a')",
            "sorted(x, key=search)",
            "print(x, file=y)",
            "x = list(map(f, y))",
        ),
        *(
            "try:\n    go()\nexcept E:\n    pass",
            "try:\n    pass\nexcept go():\n    pass",
            "x = {go(): 1}",
            "f'{go()}'",
        ),
        *(
            "if x:\n    pass\nelif go():\n    pass",
            "match x:\n    case y if go():\n        pass",
            "x = (yield from y)",
        ),
        *(
            "if x: print('b'); go()",
            "try: go()\nfinally: pass",
            "else: go()",
            "n = 1\nsearch(query=n)",
            "print(" + "1," * LINE_LIMIT,
        ),
    ],
)
def test_code_that_may_do_what_is_not_told_is_broken_once(code: str) -> None:
    for times in (code, f"{code}\n{code}\n"):
        assert [kind for kind, _ in run(times)] == ["broken"]


def test_a_tool_with_the_name_of_a_harmless_function_is_a_tool() -> None:
    assert [kind for kind, _ in run("len(x)", tools={"len": ("a",)})] == ["broken"]
    assert calls(run("len(1)", tools={"len": ("a",)})) == [("len", {"a": 1})]


@given(CUTS)
def test_what_may_act_is_told_before_the_calls_of_its_line(lengths: list[int]) -> None:
    code = "x = search('a')\nprint(x)\nn = 'b'\nprint(visit(n), search('c'))\nsearch('d')"
    assert [kind for kind, _ in run(code, lengths)] == [
        *("open", "text", "close"),
        "broken",
        *("open", "text", "close", "open", "text", "close"),
    ]


def test_a_call_is_told_when_its_line_is_over() -> None:
    reader = CodeReader(TOOLS)
    reader.feed("x = search(\n 'a'\n)")
    assert reader.found == []
    reader.feed("\n")
    assert calls(reader.found) == [("search", {"query": "a"})]


def test_a_last_line_counts_only_if_it_is_whole() -> None:
    reader = CodeReader(TOOLS)
    reader.feed("now()")
    reader.end(whole=False)
    assert reader.found == [("broken", "the block was not closed")]


def test_names_that_the_code_makes_are_no_tools() -> None:
    code = "def search(q):\n    return q\nsearch('a')\nfrom m import visit, a as now\nvisit('b')\nnow()\n"
    assert calls(run(code)) == []


def test_without_known_tools_plain_names_are_told_with_named_arguments() -> None:
    code = "print(find(a=1))\nfind(2)\nlen(obj=3)\nimport numpy as np\nnp(a=4)\ngo()\n"
    assert calls(run(code, tools={})) == [("find", {"a": 1}), ("go", {})]


def test_the_beginning_of_a_block_may_be_indented() -> None:
    assert calls(run("\n  now()\n")) == [("now", {})]
    assert calls(run("x = 1\n  now()\n")) == []


def test_a_line_of_any_length_costs_no_memory_and_the_next_one_is_read() -> None:
    code = f"search('{'a' * LINE_LIMIT}')\nsearch('b')\n"
    assert calls(run(code, [50_000])) == [("search", {"query": "b"})]


@pytest.mark.parametrize(
    "line",
    [
        *("-" * 60000 + "now()", "(" * 60000, "now(" * 15000, "now()" + "+1" * 30000, "a." * 30000 + "now()"),
        *("now()" + "()" * 30000, "now()" + "[0]" * 20000, "search(" + "-" * 50000 + "1)", "not " * 15000),
        *("search(" + "1+" * 30000 + "1)", "search(" + "9" * 50000 + ")", "lambda:" * 9000, "x=" * 30000 + "1"),
    ],
)
def test_hostile_lines_neither_raise_nor_hang(line: str) -> None:
    begun = time.process_time()
    assert calls(run(line)) in ([], [("now", {})])
    assert time.process_time() - begun < 2


@given(st.text(st.sampled_from("now()search'a\"=,\n \\#[]{}:"), max_size=40), CUTS)
def test_no_text_raises_and_no_cut_matters(code: str, lengths: list[int]) -> None:
    assert run(code, lengths) == run(code)


LINES = (
    "x = search('a')",
    "print(search(query='b', limit=1), visit('u'))",
    "if x:\n    search('c')",
    "for q in ['d', 'e']:\n    search(q)",
    "y = [search(q) for q in 'fg'] + [visit('v')]",
    "search(x)",
    "now() or search('h')",
    "search('i') if now() else visit('w')",
    "search(\n  '''j\n''',\n  # (\n  limit=[1, (2, {'k': None})])",
    "def helper():\n    return search('l')",
    "helper(); now()",
    "z = {now(): visit(url='x')}; z |= {1: search('m' 'n', -2)}",
    "print(f'{search(\"o\")!r:>5}', *[now()], sep=search('p'))",
    "try:\n    search('q')\nfinally:\n    now()",
    "assert now() != search('r')",
)


@given(st.lists(st.sampled_from(LINES), max_size=8), CUTS)
def test_calls_that_are_told_are_made_in_this_order(lines: list[str], lengths: list[int]) -> None:
    code = "x = 1\nz = {}\n" + "\n".join(lines)
    made: list[tuple[str, dict[str, object]]] = []

    def tool(name: str) -> Callable[..., str]:
        def call(*values: object, **named: object) -> str:
            made.append((name, json.loads(json.dumps(dict(zip(TOOLS[name], values, strict=False)) | named))))
            return name

        return call

    names: dict[str, object] = {name: tool(name) for name in TOOLS}
    names |= {"helper": lambda: None, "print": lambda *_, **__: None}
    exec(compile(code, "block", "exec"), names)
    actual = iter(made)
    for call in calls(run(code, lengths)):
        assert call in actual  # Which takes all before it from the iterator, too.
