import pytest

from paste_proxy.predict.bindings import ArgumentBinding, Binding, IterationBinding, PathBinding, Slot
from paste_proxy.predict.patterns import HORIZON, Estimate, Pattern, PatternTable
from paste_proxy.predict.signatures import START, Context, Signature

SEARCHED: Context = (Signature("search", "ok"),)
BEGUN: Context = (START, Signature("search", "ok"))
CONTEXTS = (SEARCHED, BEGUN)
ITEM = IterationBinding("search", (None, "name"))
FIELD = PathBinding("search", (0, "name"))
SLOT = Slot("open", "name")
OPEN = frozenset({"open"})


def opening(binding: Binding = ITEM) -> Pattern:
    return Pattern("open", (("name", binding),))


def share(table: PatternTable, pattern: Pattern, tools: frozenset[str] = OPEN) -> float:
    return dict(table.estimates(*CONTEXTS, tools)).get(pattern, Estimate(0, 0)).share


def test_the_binding_that_explained_best_so_far_is_chosen() -> None:
    table = PatternTable()
    assert table.choose(SLOT, [FIELD, ITEM], "s1") == FIELD
    assert table.choose(SLOT, [ITEM], "s1") == ITEM
    assert table.choose(SLOT, [FIELD, ITEM], "s1") == ITEM
    assert table.choose(SLOT, [], "s1") is None


def test_a_first_place_is_worth_more_than_a_late_one() -> None:
    table = PatternTable()
    late = IterationBinding("other", (None,), rank=9)
    for _ in range(3):
        assert table.choose(SLOT, [late, FIELD], "s1") == FIELD


def test_merits_are_of_one_slot() -> None:
    table = PatternTable()
    table.choose(SLOT, [ITEM], "s1")
    assert table.choose(Slot("read", "name"), [FIELD, ITEM], "s1") == FIELD


def test_shares_approach_the_truth_from_below() -> None:
    table, shares = PatternTable(), []
    for turn in range(400):
        table.count(CONTEXTS, [opening()] if turn % 2 == 0 else [])
        shares.append(share(table, opening()))
    assert shares[0] < 0.15
    assert shares[-1] == pytest.approx(0.5, abs=0.03)
    assert all(later <= 0.51 for later in shares)


def test_an_unknown_long_context_takes_the_short_ones_share() -> None:
    table = PatternTable()
    for _ in range(100):
        table.count([SEARCHED], [opening()])
    assert share(table, opening()) == pytest.approx(100 / 116)


def test_only_the_tools_asked_for() -> None:
    table = PatternTable()
    table.count(CONTEXTS, [opening()])
    assert share(table, opening(), frozenset({"search"})) == 0


def test_turns_without_calls_and_unexplained_calls_lower_the_shares() -> None:
    table, other = PatternTable(), PatternTable()
    for quiet in (table, other):
        quiet.count(CONTEXTS, [opening()])
    before = share(table, opening())
    table.count(CONTEXTS, [])
    other.count(CONTEXTS, [None])
    assert share(table, opening()) == share(other, opening()) < before


def test_parallel_calls_count_once_per_turn() -> None:
    table = PatternTable()
    for _ in range(200):
        table.count(CONTEXTS, [opening(), opening(), opening(FIELD), None])
    assert share(table, opening()) == share(table, opening(FIELD)) == pytest.approx(1, abs=0.1)
    assert share(table, opening()) <= 1


def test_old_habits_fade() -> None:
    table = PatternTable()
    for _ in range(int(HORIZON) * 2):
        table.count(CONTEXTS, [opening(FIELD)])
    for _ in range(int(HORIZON)):
        table.count(CONTEXTS, [opening()])
    assert share(table, opening()) > 0.5 > share(table, opening(FIELD))


def test_the_lower_bound_is_below_and_converges() -> None:
    bounds = [Estimate(0.3, turns).lower_bound() for turns in (0, 1, 10, 100, 1000, 1e6)]
    assert bounds == sorted(bounds)
    assert bounds[0] == 0
    assert bounds[-1] == pytest.approx(0.3, abs=0.001)
    assert Estimate(1.7, 5).lower_bound() < 1  # parallel calls may add up to more than one
    assert Estimate(0, 5).lower_bound() == pytest.approx(0)


def test_memory_is_bounded_and_the_longest_unused_is_forgotten() -> None:
    table = PatternTable(limit=150)
    for number in range(200):
        context = (Signature(f"t{number}", "ok"),)
        table.count([context, SEARCHED], [opening(PathBinding(f"t{number}", ("id",)))])
        assert len(table) <= 150
    latest = (Signature("t199", "ok"),)
    assert list(table.estimates(latest, latest, OPEN))
    first = (Signature("t0", "ok"),)
    assert not list(table.estimates(first, first, OPEN))


def test_a_context_forgets_its_least_supported_pattern() -> None:
    table = PatternTable()
    for _ in range(3):
        table.count(CONTEXTS, [opening()])
    for number in range(500):
        table.count(CONTEXTS, [opening(PathBinding(f"t{number}", ("id",)))])
    assert share(table, opening()) > 0
    assert len(table) == 2 * 64


def learn_in(table: PatternTable, sessions: list[str], binding: Binding) -> Pattern:
    for session in sessions:
        chosen = table.choose(SLOT, [binding], session)
        assert chosen is not None
        table.count(CONTEXTS, [opening(chosen)])
    return opening(binding)


def saved(table: PatternTable) -> set[Pattern]:
    return {pattern for context in table.take_changes().saved for pattern, _ in context.patterns}


def test_what_two_sessions_share_is_stored() -> None:
    table = PatternTable()
    pattern = learn_in(table, ["s1", "s1", "s1"], ITEM)
    assert saved(table) == set()
    learn_in(table, ["s2"], ITEM)
    assert saved(table) == {pattern}


@pytest.mark.parametrize(
    "binding",
    [
        PathBinding("search", ("ann@x.org", "mail")),
        IterationBinding("search", ("order 4421", None)),
        PathBinding("tell me of Ann", ("mail",)),
        ArgumentBinding("search", "Ann Smith"),
    ],
)
def test_names_that_look_like_data_are_not_stored(binding: Binding) -> None:
    table = PatternTable()
    pattern = learn_in(table, ["s1", "s2", "s3"], binding)
    assert pattern not in saved(table)


def test_contexts_of_odd_tool_names_are_not_stored() -> None:
    table = PatternTable()
    table.count([(Signature("Ann's address", "ok"),)], [])
    assert table.take_changes().saved == ()


def test_a_loaded_table_estimates_and_chooses_alike() -> None:
    table = PatternTable()
    for turn in range(40):
        learn_in(table, [f"s{turn % 5}"], ITEM if turn % 3 else FIELD)
    loaded = PatternTable()
    loaded.load(table.take_changes().saved)
    assert dict(loaded.estimates(*CONTEXTS, OPEN)) == dict(table.estimates(*CONTEXTS, OPEN))
    assert loaded.choose(SLOT, [FIELD, ITEM], "s9") == ITEM
    assert loaded.take_changes().saved == ()
    assert len(loaded) == len(table)


def test_loaded_patterns_stay_storable() -> None:
    table = PatternTable()
    pattern = learn_in(table, ["s1", "s2"], ITEM)
    loaded = PatternTable()
    loaded.load(table.take_changes().saved)
    learn_in(loaded, ["s3"], ITEM)
    assert saved(loaded) == {pattern}


def test_changes_are_taken_once_unless_put_back() -> None:
    table = PatternTable(limit=4)
    learn_in(table, ["s1", "s2"], ITEM)
    changes = table.take_changes()
    assert {context.context for context in changes.saved} == set(CONTEXTS)
    assert table.take_changes().saved == ()
    table.put_back(changes)
    assert table.take_changes() == changes


def test_forgotten_contexts_are_dropped_from_the_store() -> None:
    table = PatternTable(limit=4)
    table.count([SEARCHED], [opening()])
    table.take_changes()
    for number in range(4):
        table.count([(Signature(f"t{number}", "ok"),)], [opening()])
    assert SEARCHED in table.take_changes().dropped


def test_a_pattern_is_readable() -> None:
    assert str(opening()) == "open(name = unused $[*].name #1 of search)"
