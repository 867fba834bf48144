import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.ledger import PRIVATE, WITNESSES, Ledger, SavedGroup
from paste_proxy.predict.model import Call, History, Said
from paste_proxy.predict.predictor import PatternPredictor
from paste_proxy.predict.privacy import exportable, savable
from paste_proxy.predict.signatures import finished_call

Made = tuple[str, dict[str, Any], str]


def learnt(*sessions: list[Made], said: str = "", ledger: Ledger | None = None, offered: bool = True) -> Ledger:
    """What a predictor learns of sessions with one call a turn; `said` is told by the user and by the model.
    Their requests have offered the tools."""
    predictor = PatternPredictor(ledger if ledger is not None else Ledger())
    for number, made in enumerate(sessions):
        history = History(calls=[], session=f"s{number}", said=[Said("user", said, 0), Said("system", said, 0)])
        if offered:
            history.offered = frozenset(name for tool, arguments, _ in made for name in (tool, *arguments))
        for tool, arguments, text in made:
            predictor.begin(history, [tool]).heard(f"{said}\n")
            predictor.learn(history, [Call(tool, arguments)])
            history.calls.append(finished_call(tool, arguments, text))
            history.said.append(Said("assistant", said, len(history.calls)))
        predictor.learn(history, [])
    return predictor.ledger


def kept(ledger: Ledger) -> list[SavedGroup]:
    groups = [savable(ledger, key, group) for key, group in ledger.groups()]
    return [group for group in groups if group is not None]


def restarted(ledger: Ledger) -> Ledger:
    """After all that may be kept was stored and read again."""
    again = Ledger()
    rows = [msgspec.json.encode(group) for group in ledger.take_changes(savable).saved]
    again.load(msgspec.json.decode(row, type=SavedGroup) for row in rows)
    return again


def text_of(groups: list[SavedGroup]) -> str:
    return msgspec.json.encode(groups).decode()


def shell(word: str, argument: str = "fixed-constant") -> list[Made]:
    """Two commands, and an argument that is always the same; the first command's output names the file."""
    return [
        ("bash", {"command": f"grepword -rn {word} ."}, f"src/{word}.py:12"),
        ("bash", {"command": f"sedword -n 10,20p src/{word}.py"}, f"def {word}"),
        ("bash", {"command": f"sedword -n 10,20p src/{word}.py"}, f"def {word}"),
        ("open", {"site": argument, "path": f"src/{word}.py"}, "ok"),
    ]


SECRETS = st.from_regex(r"[A-Z][a-z]{3,6}[0-9]{3,5}|[a-z]{3,6}_[a-z]{4,6}_[0-9]{4}|#W[0-9]{6}", fullmatch=True)


@settings(max_examples=40, deadline=None)
@given(st.lists(SECRETS, min_size=1, max_size=WITNESSES - 1, unique=True), st.integers(10**7, 10**9))
def test_nothing_that_few_sessions_had_is_kept(secrets: list[str], number: int) -> None:
    def session(secret: str) -> list[Made]:
        found = json.dumps(
            {"users": [{"name": secret, "id": number}], "map": {f"{secret} x": {"mail": secret}}}
        )
        page = f"{secret} is in src/{secret}.py, see https://a.b/{secret}"
        return [
            ("find", {"query": secret, "page": 0}, found),
            ("find", {"query": secret, "page": number}, found),
            ("get", {"name": secret, "id": number, "all": [secret]}, page),
            ("read", {"path": f"src/{secret}.py"}, page),
            ("bash", {"command": f"grep -rn {secret} src"}, secret),
            ("bash", {"command": f"grep -rn {secret} src"}, secret),
        ]

    ledger = learnt(*map(session, secrets), said=f"Look for {secrets[0]} and {number}.")
    for rows in (text_of(kept(ledger)), text_of(exportable(ledger))):
        assert '"find"' in rows
        assert not [secret for secret in [*secrets, str(number)] if secret in rows]


@pytest.mark.parametrize("restart", [False, True])
def test_constants_and_words_of_many_sessions_stay_in_the_house(restart: bool) -> None:
    ledger = learnt(*(shell(f"Word{n}") for n in range(3 * WITNESSES)))
    ledger = restarted(ledger) if restart else ledger
    private = ("grepword", "sedword", "-rn", "fixed-constant")
    rows = text_of(kept(ledger))
    assert all(word in rows for word in private)
    shown = text_of(exportable(ledger))
    assert '"open"' in shown
    assert not [word for word in private if word in shown]
    assert not {group.section for group in exportable(ledger)} & set(PRIVATE)


def test_a_restart_loses_nothing_that_was_kept() -> None:
    ledger = learnt(*(shell(f"Word{n}") for n in range(3 * WITNESSES)))
    first = text_of(kept(ledger))
    again = restarted(ledger)
    assert text_of(kept(again)) == first
    assert text_of(kept(restarted(again))) in ("[]", first)
    learnt(*(shell(f"Other{n}") for n in range(2)), ledger=again)
    assert "sedword" in text_of(list(again.take_changes(savable).saved))


def test_what_was_learnt_of_commands_is_of_use_after_a_restart() -> None:
    ledger = learnt(*(shell(f"Word{n}") for n in range(3 * WITNESSES)))
    command, out = "grepword -rn New1 .", "src/New1.py:12"
    history = History(calls=[finished_call("bash", {"command": command}, out)], session="new")
    [before, after] = [
        PatternPredictor(one).predict(History(calls=history.calls, session="new"), ["bash"], 3)
        for one in (ledger, restarted(ledger))
    ]
    assert before[0].arguments == {"command": "sedword -n 10,20p src/New1.py"}
    assert after == before


def test_fields_are_named_once_they_were_of_use_in_many_sessions() -> None:
    def session(number: int) -> list[Made]:
        found = json.dumps({"Ann": {"orderfield": f"O{number}"}})
        return [("find", {"query": f"q{number}"}, found), ("open", {"id": f"O{number}"}, "ok")]

    few, many = (learnt(*map(session, range(count))) for count in (WITNESSES - 1, WITNESSES + 1))
    assert "orderfield" not in text_of(kept(few))
    assert "orderfield" in text_of(exportable(many))


def test_steps_between_numbers_are_known_once_many_sessions_took_them() -> None:
    def session(number: int) -> list[Made]:
        return [
            ("page", {"at": 0}, "ok"),
            ("page", {"at": 31}, "ok"),
            ("page", {"at": 31 + 4000 + number}, "ok"),
        ]

    ledger = learnt(*map(session, range(WITNESSES)))
    [(_, steps)] = [(key, group) for key, group in ledger.groups() if key[0] == "steps"]
    assert steps == {31: WITNESSES}
    assert not [group for group in exportable(ledger) if group.section == "steps"]


def calls_ann(number: int) -> list[Made]:
    """A made-up tool and argument, between calls of others."""
    found = f"o{number}"
    return [
        ("find", {"query": f"q{number}"}, found),
        ("ask_ann_lee", {"id": found, "lee_account": found}, "ok"),
        ("open", {"id": found}, "ok"),
    ]


@pytest.mark.parametrize(("sessions", "are"), [(1, False), (WITNESSES - 1, False), (WITNESSES, True)])
def test_names_that_no_request_offered_are_kept_once_they_came_in_many_sessions(
    sessions: int, are: bool
) -> None:
    ledger = learnt(*map(calls_ann, range(sessions)), offered=False)
    known: list[Made] = [("find", {"query": "x"}, "ok"), ("open", {"id": "x"}, "ok")]
    learnt(known, ledger=ledger)
    for rows in (text_of(kept(ledger)), text_of(exportable(ledger))):
        assert '"open"' in rows
        for name in ("ask_ann_lee", "lee_account"):
            assert (name in rows) is are


def test_one_session_is_no_witness_of_a_name_however_often_it_came() -> None:
    ledger = learnt(calls_ann(1) * WITNESSES * 2, offered=False)
    assert "ann" not in text_of(kept(ledger))


def test_names_that_a_request_offered_are_kept_at_once() -> None:
    assert "ask_ann_lee" in text_of(kept(learnt(calls_ann(1))))


def test_of_what_is_learnt_with_known_names_no_part_is_left_out() -> None:
    """Our own words in keys and labels are known as such."""
    shown = json.dumps({"users": [{"id": 1, "mail": "a@b.c"}], "next": "https://a.b/c"})

    def session(number: int) -> list[Made]:
        return [
            *shell(f"Word{number}"),
            ("find", {"query": f"q {number}", "page": number, "deep": True, "none": None, "f": 0.5}, shown),
            ("find", {"query": "", "page": number + 1, "deep": False, "none": None, "f": 0.5}, "Error: no"),
            ("read", {"path": f"src/{number}.py", "dir": "src/x", "url": "https://a.b/c", "as": "a.py"}, shown),
            (
                "say",
                {"one": "a b", "two": "a b c", "three": "a b c d", "four": "a b c d e", "all": ["a"]},
                shown,
            ),
        ]

    ledger = learnt(*map(session, range(3 * WITNESSES)), said="Look at src/1.py and a@b.c.")
    for key, group in ledger.groups():
        saved = savable(ledger, key, group)
        assert saved is not None, key
        lost = group.keys() - {label for label, _ in saved.labels}
        assert all("mail" in repr(label) or "users" in repr(label) for label in lost), lost


def test_moves_of_lists_are_known_once_many_sessions_made_them() -> None:
    def session(number: int) -> list[Made]:
        states = ("open", "closed", f"secret-{number}")
        return [("plan", {"steps": [{"name": "Ann", "is": state}]}, "ok") for state in states]

    ledger = learnt(*map(session, range(WITNESSES)))
    [(_, moves)] = [(key, group) for key, group in ledger.groups() if key[0] == "moves"]
    assert list(moves) == [((0, "is", ("str", "open"), ("str", "closed")),)]
    assert not [group for group in exportable(ledger) if group.section == "moves"]


@pytest.mark.parametrize("odd", ["Ann, please", "a b", "5tools", "@ann"])
def test_a_name_that_looks_like_none_is_not_kept(odd: str) -> None:
    made: list[Made] = [(odd, {f"{odd}!": "x1"}, "ok"), ("open", {"id": "x1"}, "ok")]
    ledger = learnt(*[made] * (WITNESSES - 1))
    assert odd not in text_of(kept(ledger))
    assert f"{odd}!" not in text_of(kept(ledger))


@pytest.mark.parametrize("odd", ["\ud800 half", float("inf"), 10**30])
def test_values_that_json_can_not_hold_break_no_store(odd: Any) -> None:
    made: list[Made] = [("open", {"id": odd}, "ok")]
    ledger = learnt(*[made] * (WITNESSES + 1))
    before = kept(ledger)
    assert any(group.section == "masks" for group in before)
    assert text_of(kept(restarted(ledger))) == text_of(before)


def test_features_of_constants_are_kept_and_not_shown() -> None:
    ledger = learnt(*([("open", {"lang": "esperanto"}, "ok")] for _ in range(3 * WITNESSES)))
    assert '["constant",["str","esperanto"]]' in text_of(kept(ledger))
    assert "esperanto" not in text_of(exportable(ledger))


def test_what_no_file_can_hold_is_not_kept() -> None:
    """Half of a surrogate pair, which JSON can escape."""
    half = "\ud800"
    sessions = [[("open", {"name": half, "as": f"{half}-{number}"}, half)] for number in range(WITNESSES)]
    ledger = learnt(
        *sessions, [(half, {half: 1}, "ok"), ("open", {"name": "b"}, "ok")], said=f"{half} {half}A1"
    )
    assert len(restarted(ledger)) > 0
    assert text_of(exportable(ledger))
