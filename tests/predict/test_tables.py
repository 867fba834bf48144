"""One ledger per tenant: what each has, what they share, and how large all of them are together."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.ledger import KNOWN, SHARED, TOTAL, WITNESSES, Changes, SavedGroup
from paste_proxy.predict.symbols import CALLED, Symbol
from paste_proxy.predict.tables import COMMON, Tables

GREP = Symbol("bash", "command", ("grep", " ", ("a",)))


def taken(tables: Tables) -> list[Changes]:
    found = []
    while tables.unsaved:
        found.append(tables.take_changes(10**9))
    return found


def restored(*several: Changes) -> Tables:
    """After all of it was stored and read again."""
    rows: dict[str, dict[str, SavedGroup]] = {COMMON: {}}
    for changes in several:
        if changes.gone:
            rows.pop(changes.tenant, None)
        for saved in changes.saved:
            text = msgspec.json.encode(saved)
            rows.setdefault(changes.tenant, {})[repr(saved.key)] = msgspec.json.decode(text, type=SavedGroup)
    tables = Tables()
    for tenant, groups in rows.items():
        tables.load(tenant, groups.values())
    return tables


def test_each_tenant_has_its_own_counts() -> None:
    tables = Tables()
    tables.of("a").count("proposed", (), True)
    assert tables.of("b").find("proposed", ()) is None
    assert tables.of("a").find("proposed", ()) == {True: 1.0, TOTAL: 1.0}


def test_what_holds_for_all_tools_is_everybody_s_at_once() -> None:
    tables = Tables()
    tables.of("a").common.set(SHARED, "weights", "none", 0.5)
    assert tables.of("b").common.find(SHARED, "weights") == {"none": 0.5}
    assert tables.of("b").find(SHARED, "weights") == {"none": 0.5}


def test_a_tenant_must_have_a_name() -> None:
    with pytest.raises(ValueError, match="name"):
        Tables().of(COMMON)


def test_a_new_tenant_begins_with_the_shapes_that_others_learnt() -> None:
    tables = Tables()
    first = tables.of("a")
    first.set(*CALLED, "open", 5.0)
    first.set(*CALLED, "bash", 5.0)
    for symbol in (Symbol("open"), Symbol("open"), GREP):
        first.count("next", (), symbol)
    first.set("words", ("bash", "command"), "grep", 9.0)
    second = tables.of("b")
    taken(tables)
    assert second.find("next", ()) == {Symbol("open"): 2.0, TOTAL: 3.0}
    assert second.find("words", ("bash", "command")) is None
    second.count("next", (), Symbol("open"))
    assert second.find("next", ()) == {Symbol("open"): 3.0, TOTAL: 4.0}
    assert (first.find("next", ()) or {})[TOTAL] == 3.0


def test_one_tenant_alone_makes_no_prior() -> None:
    tables = Tables()
    tables.of("a").count("ends", (), True)
    taken(tables)
    assert list(tables.common.groups()) == []


def test_what_is_known_better_stays_in_the_prior() -> None:
    tables = Tables()
    for tenant, turns in (("a", 9), ("b", 2)):
        for _ in range(turns):
            tables.of(tenant).count("ends", (), True)
    taken(tables)
    assert tables.of("c").find("ends", ()) == {True: 9.0, TOTAL: 9.0}


def test_names_of_all_tenants_are_in_the_prior_as_far_as_there_is_room() -> None:
    tables = Tables()
    for tenant in "ab":
        tables.of(tenant).admit(*CALLED, [f"{tenant}_{number}" for number in range(KNOWN - 10)], 5.0)
        tables.of(tenant).set(*CALLED, f"{tenant}_much_used", 9.0)
    taken(tables)
    names = tables.of("c").find(*CALLED) or {}
    assert {"a_much_used", "b_much_used"} <= names.keys()
    assert len(names) == KNOWN


def test_five_sessions_are_five_of_one_tenant() -> None:
    tables = Tables()
    for number in range(2 * WITNESSES - 2):
        tables.of("ab"[number % 2]).witness("constants", "slot", "x", str(number))
    assert [tables.of(one).find("constants", "slot") for one in "ab"] == [None, None]
    tables.of("a").witness("constants", "slot", "x", "one more")
    assert tables.of("a").find("constants", "slot") == {"x": WITNESSES}
    assert tables.of("b").find("constants", "slot") is None


def test_a_tenant_that_is_forgotten_leaves_nothing_of_its_own() -> None:
    tables = Tables()
    for tenant in "ab":
        tables.of(tenant).set("words", "x", tenant, 5.0)
    kept = taken(tables)
    assert tables.forget("a")
    assert not tables.forget("a")
    again = restored(*kept, *taken(tables))
    assert list(again.tenants) == ["b"]
    assert tables.of("a").find("words", "x") is None


def test_the_tenant_that_was_seen_longest_ago_goes_first() -> None:
    tables = Tables(tenants=2)
    for tenant in ("a", "b", "a", "c"):
        tables.of(tenant).set("words", "x", tenant, 5.0)
    assert list(tables.tenants) == ["a", "c"]
    assert Changes(tenant="b", gone=True) in taken(tables)


def test_what_could_not_be_saved_is_told_again() -> None:
    tables = Tables()
    for tenant in "ab":
        tables.of(tenant).count("ends", (), True)
    tables.forget("b")
    tables.common.set(SHARED, "weights", "none", 1.0)
    kept = taken(tables)
    assert {(one.tenant, one.gone) for one in kept} == {("b", True), ("a", False), (COMMON, False)}
    for changes in kept:
        tables.put_back(changes)
    assert taken(tables) == kept


STEPS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 30), st.integers(0, 9)), max_size=120)


@settings(max_examples=100)
@given(STEPS, st.integers(5, 60))
def test_all_tenants_together_are_bounded_and_the_largest_gives_way(
    steps: list[tuple[str, int, int]], limit: int
) -> None:
    tables, limit_of_one = Tables(limit, tenants=3), 12
    for tenant, key, label in steps:
        own = tables.of(tenant)
        assert len(tables) == sum(len(group) for one in tables._all() for _, group in one.groups())
        assert len(tables) <= max(limit, limit_of_one)
        own.count("ends", key, label)
        own.common.count("calibration", key % 3, label)
        own.witness("constants", key, label, str(label))
    assert len(tables.tenants) <= 3


def test_a_small_tenant_keeps_what_it_has_while_a_large_one_forgets() -> None:
    tables = Tables(limit=100)
    tables.of("small").count("ends", (), True)
    for number in range(1000):
        tables.of("large").count("ends", number, True)
    assert tables.of("small").find("ends", ()) == {True: 1.0, TOTAL: 1.0}
    assert len(tables) <= 100


def test_what_waits_for_more_sessions_is_bounded_for_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paste_proxy.predict.tables.WAITING", 50)
    tables = Tables()
    for tenant in ("a", "b", "b"):
        for number in range(100):
            tables.of(tenant).witness("constants", tenant, number, "s")
    assert sum(tables.of(one).waiting for one in "ab") <= 51


@settings(max_examples=60)
@given(STEPS, STEPS)
def test_a_store_that_follows_the_changes_has_the_same_tables(
    first: list[tuple[str, int, int]], second: list[tuple[str, int, int]]
) -> None:
    tables, kept = Tables(tenants=3), list[Changes]()
    for steps in (first, second):
        for tenant, key, label in steps:
            tables.of(tenant).count("ends", key, label)
            tables.of(tenant).witness("constants", key, label, str(label))
        kept += taken(tables)
    again = restored(*kept)
    assert set(again.tenants) == set(tables.tenants)
    for tenant in list(tables.tenants):
        assert dict(again.of(tenant).groups()) == dict(tables.of(tenant).groups())
    assert dict(again.common.groups()) == dict(tables.common.groups())
