"""What one tenant's sessions taught is never shown to another one, however their turns mix."""

import json
import random
from collections.abc import Iterable, Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.config import Config, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.events import Identity
from paste_proxy.predict.ledger import WITNESSES, Ledger
from paste_proxy.predict.model import Call, Candidate, History, Predictor
from paste_proxy.predict.predictor import PatternPredictor
from paste_proxy.predict.signatures import finished_call
from paste_proxy.predict.tables import COMMON, Tables
from paste_proxy.predict.tenants import TenantPredictor
from paste_proxy.store.patterns import PatternStore
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import SPECS
from tests.talk import Talk

TENANTS = ("acme", "beta")
OTHER = {"acme": "beta", "beta": "acme"}
STEP = {"acme": 4177, "beta": 7393}
TOOLS = frozenset(("find", "bash", "open", "page", "plan", "query", "command", "site", "path", "at", "steps"))


def calls(tenant: str, number: int) -> list[tuple[Call, str]]:
    """Of one session. All that holds the tenant's name is the tenant's: words, a constant, a move, a step."""
    file = f"src/m{tenant}{number}.py"
    command = f"{tenant}grep --{tenant} m{number} src"
    return [
        (Call("find", {"query": f"q{number}"}), json.dumps({"hits": [{"file": file}]})),
        (Call("bash", {"command": command}), f"{file}:12"),
        (Call("open", {"site": f"{tenant}-constant", "path": file}), "ok"),
        (Call("bash", {"command": f"{tenant}sed -n 10,20p {file}"}), "done"),
        (Call("page", {"at": number}), "ok"),
        (Call("page", {"at": number + STEP[tenant]}), "ok"),
        (Call("plan", {"steps": [{"is": f"{tenant}_open"}]}), "ok"),
        (Call("plan", {"steps": [{"is": f"{tenant}_closed"}]}), "ok"),
    ]


def lived(predictor: Predictor, tenant: str, number: int) -> Iterator[list[Candidate]]:
    """A session turn by turn, with what was expected at each."""
    history = History(calls=[], session=f"{tenant}{number}", tenant=tenant, offered=TOOLS)
    for call, text in calls(tenant, number):
        turn = predictor.begin(history, TOOLS)
        turn.heard("Let me run the command.\n")
        yield turn.candidates(20)
        predictor.learn(history, [call])
        history.calls.append(finished_call(call.tool, call.arguments, text))
    predictor.learn(history, [])


def shows(tenant: str, text: str) -> bool:
    return tenant in text or str(STEP[tenant]) in text


def said(candidates: Iterable[Candidate]) -> str:
    return repr([(one.tool, one.arguments, one.why) for one in candidates])


def names_in(ledger: Ledger) -> str:
    """All that it holds but numbers."""
    return repr([(key, list(group)) for key, group in ledger.groups()])


@settings(max_examples=20)
@given(st.randoms(use_true_random=False), st.integers(0, 12))
def test_neither_of_two_tenants_is_ever_shown_what_is_the_other_s(draw: random.Random, saved: int) -> None:
    tables = Tables()
    predictor = TenantPredictor(tables)
    living = [
        (tenant, lived(predictor, tenant, number)) for tenant in TENANTS for number in range(WITNESSES + 2)
    ]
    under_way = living[:0]
    while living or under_way:
        if living and (not under_way or draw.random() < 0.3):
            under_way.append(living.pop(draw.randrange(len(living))))
        tenant, session = draw.choice(under_way)
        if (found := next(session, None)) is None:
            under_way.remove((tenant, session))
        else:
            assert not shows(OTHER[tenant], said(found))
        if saved and draw.random() < 1 / saved:
            PatternStore("").save_all(tables)
    for tenant in TENANTS:
        learnt = names_in(tables.of(tenant))
        assert all(word in learnt for word in (f"'{tenant}grep'", f"'{tenant}-constant'", f"{tenant}_closed"))
        assert str(STEP[tenant]) in learnt
        assert not shows(OTHER[tenant], learnt)
        assert not shows(tenant, names_in(tables.common))
        exported = [(row.section, row.key, [label for label, _ in row.labels]) for row in tables.exported()]
        assert exported
        assert not shows(tenant, repr(exported))


def test_what_a_tenant_s_own_sessions_taught_is_expected_of_it() -> None:
    predictor = TenantPredictor(Tables())
    for number in range(3 * WITNESSES):
        for tenant in TENANTS:
            list(lived(predictor, tenant, number))
    for tenant in TENANTS:
        found = [one for several in lived(predictor, tenant, 99) for one in several]
        made = [Call(one.tool, one.arguments) for one in found]
        assert all(call in made for call, _ in calls(tenant, 99)[1:4])
        assert any(f"{tenant}grep" in one.why for one in found)


def test_a_new_tenant_is_warm_in_what_all_have_in_common() -> None:
    tables = Tables()
    predictor = TenantPredictor(tables)
    for number in range(3 * WITNESSES):
        history = History(calls=[], session=f"acme{number}", tenant="acme", offered=TOOLS)
        for call in (Call("find", {"query": f"q {number}"}), Call("open", {"path": f"src/m{number}.py"})):
            predictor.learn(history, [call])
            page = json.dumps({"hits": [{"file": f"src/m{number}.py"}]})
            history.calls.append(finished_call(call.tool, call.arguments, page))
        predictor.learn(history, [])
    predictor.begin(History(calls=[], session="b", tenant="beta", offered=TOOLS), TOOLS)
    PatternStore("").save_all(tables)
    found = finished_call("find", {"query": "x y"}, '{"hits": [{"file": "src/new.py"}]}')
    history = History(calls=[found], session="c", tenant="beta", offered=TOOLS)
    [candidate] = predictor.predict(history, TOOLS, 1)
    assert (candidate.tool, candidate.arguments) == ("open", {"path": "src/new.py"})
    assert TenantPredictor(Tables()).predict(history, TOOLS, 1) == []


def test_one_tenant_alone_is_predicted_as_by_a_predictor_of_its_own() -> None:
    shared, alone = TenantPredictor(Tables()), PatternPredictor(Ledger())
    for number in range(2 * WITNESSES):
        assert list(lived(shared, "acme", number)) == list(lived(alone, "acme", number))


def test_a_tenant_that_was_forgotten_begins_anew() -> None:
    tables = Tables()
    predictor = TenantPredictor(tables)
    for number in range(2 * WITNESSES):
        list(lived(predictor, "acme", number))
    tables.forget("acme")
    found = [one for several in list(lived(predictor, "acme", 99))[:3] for one in several]
    assert "acme-constant" not in said(found)
    assert set(predictor._predictors) == set(tables.tenants) == {"acme"}


def test_sessions_of_a_core_are_predicted_by_their_tenant_s_table() -> None:
    """As far as the pages of the sessions: predictions and timelines."""
    tables = Tables()
    config = Config(speculation=SpeculationConfig(allow=tuple(SPECS), mode="shadow", min_service_s=0.0))
    core = Core(ToolTable(SPECS), config, TenantPredictor(tables))
    for number in range(2 * WITNESSES):
        for tenant in TENANTS:
            t = Talk(core, Identity(tenant=tenant, session=f"{tenant} {number}"))
            t.now = 100.0 * number
            for tool, arguments in (("read_a", {"k": number}), ("read_b", {"k": STEP[tenant]})):
                t.ask()
                t.seals(tool, f"{tool}{number}", json.dumps(arguments))
                t.ends()
                t.answers(f"{tool}{number}")
            t.ask()
    assert set(tables.tenants) == set(TENANTS)
    for session in core.turns.sessions.values():
        shown = [(one.tool, one.arguments, one.why) for one in session.predictions]
        assert not shows(OTHER[session.tenant], repr(shown))
        assert not shows(OTHER[session.tenant], repr([note.detail for note in session.notes]))
    told = [one for session in core.turns.sessions.values() for one in session.predictions]
    assert [one.tool for one in told if one.arguments == {"k": STEP["acme"]}]
    assert not shows("acme", names_in(tables.of("beta")))
    assert COMMON not in tables.tenants
