import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.model import Said
from paste_proxy.predict.next_tool import NextTool, name_words
from paste_proxy.predict.signatures import Signature, finished_call
from paste_proxy.predict.symbols import Symbol, Symbols


def memory_of(*steps: str) -> Memory:
    """`tool` is a call and its result, `tool!` one that failed, `user: text` what the user says."""
    memory = Memory(Symbols(Ledger()))
    for step in steps:
        if step.startswith("user: "):
            memory.said(Said("user", step.removeprefix("user: "), memory.calls))
        elif step.startswith("system: "):
            memory.said(Said("system", step, 0))
        else:
            memory.answered(finished_call(step.rstrip("!"), {}, "Error: no" if step.endswith("!") else "ok"))
    return memory


def taught(*lessons: tuple[list[str], str | None], times: int = 10) -> NextTool:
    """What came after what; None: nothing."""
    next_tool = NextTool(Ledger())
    for _ in range(times):
        for before, after in lessons:
            next_tool.learn(memory_of(*before), Symbol(after) if after else None)
    return next_tool


def likely(next_tool: NextTool, *steps: str) -> dict[str, float]:
    return {str(symbol): chance for symbol, chance in next_tool.likely(memory_of(*steps)).items()}


def best(found: dict[str, float]) -> str:
    return max(found, key=found.__getitem__)


def test_nothing_is_likely_before_anything_came() -> None:
    assert likely(NextTool(Ledger()), "search") == {}


def test_what_followed_follows() -> None:
    next_tool = taught((["search"], "open"), (["open"], "search"))
    assert best(likely(next_tool, "search")) == "open"
    assert best(likely(next_tool, "open")) == "search"


def test_a_failure_is_followed_by_other_calls() -> None:
    next_tool = taught((["test"], "commit"), (["test!"], "edit"))
    assert best(likely(next_tool, "test!")) == "edit"
    assert best(likely(next_tool, "test")) == "commit"


def test_a_longer_context_says_more_than_a_short_one() -> None:
    next_tool = taught((["a", "b"], "x"), (["c", "b"], "y"))
    assert best(likely(next_tool, "a", "b")) == "x"
    assert best(likely(next_tool, "c", "b")) == "y"
    known = likely(next_tool, "never seen", "b")
    assert math.isclose(known["x"], known["y"], rel_tol=0.2)


def test_what_ends_a_turn_leaves_little_to_the_calls() -> None:
    next_tool = taught((["search"], "open"), (["open"], None), times=20)
    assert sum(likely(next_tool, "search").values()) > 0.8
    assert sum(likely(next_tool, "open").values()) < 0.2


def test_what_the_user_says_has_a_shape() -> None:
    next_tool = taught(
        (["user: It is A-1"], "find_order"), (["user: Mail omar@b.c please"], "find_mail"), times=30
    )
    assert best(likely(next_tool, "user: What of B-7")) == "find_order"
    assert best(likely(next_tool, "user: And ann@b.d then")) == "find_mail"


def test_a_tool_that_the_user_names_is_likelier() -> None:
    next_tool = taught((["user: hello"], "find_order"), (["user: hello"], "cancel_booking"))
    assert best(likely(next_tool, "user: please cancel it")) == "cancel_booking"
    assert name_words("findUserById") == ("find", "user")
    assert name_words("mcp__shop__get_order") == ("mcp", "shop", "get", "order")


def test_a_habit_of_the_session_counts() -> None:
    next_tool = taught((["a"], "x"), (["a"], "y"))
    odd = likely(next_tool, "a", "y", "a", "y", "a", "y", "a")
    assert best(odd) == "y"


def test_parts_that_are_left_out_say_nothing() -> None:
    ledger = Ledger()
    for _ in range(10):
        for before, after in ((["a", "b"], "x"), (["c", "b"], "y")):
            NextTool(ledger).learn(memory_of(*before), Symbol(after))
    short = NextTool(ledger, frozenset({"long contexts"}))
    assert likely(short, "a", "b") == likely(short, "c", "b")


TOOLS = st.sampled_from(["a", "b!", "b", "user: A-1 and b", "system: x"])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.lists(TOOLS, max_size=4), st.sampled_from(["a", "b", "c", None])), max_size=15),
    st.lists(TOOLS, max_size=6),
)
def test_chances_are_shares_of_one(lessons: list[Any], steps: list[str]) -> None:
    found = likely(taught(*lessons, times=1), *steps)
    assert all(0 <= chance <= 1 for chance in found.values())
    assert sum(found.values()) <= 1 + 1e-9


def test_many_tools_are_looked_at_up_to_a_limit() -> None:
    next_tool = taught(*(([f"t{n}"], f"t{n + 1}") for n in range(400)), times=1)
    found = likely(next_tool, "t5")
    assert len(found) < 100
    assert best(found) == "t6"


def test_a_command_never_seen_is_followed_as_others_of_its_program() -> None:
    next_tool = NextTool(Ledger())
    for program, after in (("cat", "run"), ("ls", "read")):
        for number in range(10):
            memory = memory_of("start")
            memory.signatures = [Signature(f"bash: {program} {number}", "ok")]
            next_tool.learn(memory, Symbol(after))
    memory.signatures = [Signature("bash: cat new", "ok")]
    assert best({str(symbol): chance for symbol, chance in next_tool.likely(memory).items()}) == "run"
