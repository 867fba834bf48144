"""Histories are those of the core, and learning is from each turn with the history before it."""

from pathlib import Path

import pytest

from paste_proxy.lab.mine_command import mine
from paste_proxy.lab.prediction.lessons import new_table, teach, tools_of, turns_of
from paste_proxy.lab.prediction.sessions import Session, read_sessions
from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.model import TENANT, Call, Predictor
from paste_proxy.predict.predictor import PatternPredictor
from paste_proxy.predict.tables import Tables
from paste_proxy.predict.tenants import TenantPredictor
from paste_proxy.store.patterns import PatternStore
from tests.lab.prediction.small import Message, Teller, result, says, session, sessions, user
from tests.lab.virtual.service import session as recorded_session
from tests.lab.virtual.service import written


def test_every_turn_is_a_lesson_with_what_was_known_before_it(tmp_path: Path) -> None:
    one = session(
        tmp_path,
        user("Look."),
        says("I look.", ("look", {"at": 1}), ("see", {})),
        result(0, "a"),
        result(1, "b"),
        says("Again.", ("look", {"at": 2})),
        result(0, "c"),
        says("Done."),
    )
    teller = Teller()
    teach(teller, one)
    assert [(before, calls) for _, before, calls in teller.lessons] == [
        ([], [Call("look", {"at": 1}), Call("see", {})]),
        (["look", "see"], [Call("look", {"at": 2})]),
        (["look", "see", "look"], []),
    ]
    assert len({name for name, _, _ in teller.lessons}) == 1
    assert tools_of([one]) == {"look", "see"}
    said = [[(text.role, text.text) for text in history.said] for history, _ in turns_of(one)]
    assert said[0] == [("user", "Look.")]
    assert said[2] == [("user", "Look."), ("assistant", "I look."), ("assistant", "Again.")]


def several(folder: Path) -> list[Session]:
    """Sessions whose models think, speak, and ask for several calls at once."""

    def one(number: int) -> list[Message]:
        name, other = f"R{number}a", f"R{number}b"
        return [
            user(f"Compare what you find of q{number}"),
            says("", ("search", {"query": f"q{number}", "page": 1})),
            result(0, f'{{"hits": [{{"name": "{name}"}}, {{"name": "{other}"}}]}}'),
            says(
                f"Both, {name} and {other}",
                ("open", {"name": name}),
                ("open", {"name": other}),
                reasoning="Hm\n",
            ),
            result(0, f"see src/m{number}.py:7"),
            result(1, "Error: gone"),
            says(
                "",
                ("bash", {"command": f"sed -n 1,9p src/m{number}.py"}),
                reasoning=f"The file is src/m{number}.py",
            ),
            result(0, "def f(): ..."),
            says("Done."),
        ]

    return sessions(folder, *map(one, range(12)))


def lived_through(predictor: Predictor, one: Session, pieces: int, looks: int) -> None:
    """As the proxy hears it: in pieces, with looks at what is expected in between."""
    for history, turn in turns_of(one):
        stream = predictor.begin(history, tools_of([one]))
        stream.candidates(looks)
        said = turn.reasoning + turn.text
        for start in range(0, len(said), pieces):
            stream.heard(said[start : start + pieces])
            stream.candidates(looks)
        for call in turn.calls:
            stream.named(call.call.tool)
            for name, value in call.call.arguments.items():
                stream.argued(name, value)
                stream.candidates(looks)
            stream.asked(call.call)
            stream.candidates(looks)
        predictor.learn(history, [call.call for call in turn.calls])


def state(ledger: Ledger) -> list[object]:
    return [(key, list(group.items())) for key, group in ledger.groups()]


def ledgers(tables: Tables) -> tuple[Ledger, Ledger]:
    return tables.common, tables.of(TENANT)


@pytest.mark.parametrize(("pieces", "looks"), [(1, 1), (9, 3), (100, 0)])
def test_what_is_heard_live_teaches_what_its_record_does(tmp_path: Path, pieces: int, looks: int) -> None:
    learnt, live = new_table(), PatternPredictor(new_table())
    offline = PatternPredictor(learnt)
    for one in several(tmp_path):
        teach(offline, one)
        lived_through(live, one, pieces, looks)
    assert state(live.ledger) == state(learnt)


def test_what_is_mined_is_what_the_proxy_would_have_stored(tmp_path: Path) -> None:
    path = written(tmp_path, [recorded_session(number) for number in range(8)])
    tables = Tables()
    live = TenantPredictor(tables)
    for one in read_sessions(path, ()):
        lived_through(live, one, 7, 3)
    stored = PatternStore(str(tmp_path / "live.sqlite"))
    stored.save_all(tables)
    mine.main([str(path), "-o", str(tmp_path / "mined.sqlite")], standalone_mode=False)
    mined = PatternStore(str(tmp_path / "mined.sqlite"))
    for there, here in zip(ledgers(mined.load()), ledgers(stored.load()), strict=True):
        assert state(there) == state(here)
    stored.close()
    mined.close()
