"""Clients that say the same words, in any order: what is one session, and what never is."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from tests.sessions.asking import START, Client, Messages, assistant, call, user


class Lineages(RuleBasedStateMachine):
    """Clients that know nothing of each other, with few words, so that they often say the same."""

    clients = Bundle("clients")
    limit = 1000
    idle_s = 1e6
    ids_are_unique = False

    def __init__(self) -> None:
        super().__init__()
        self.client = Client(self.limit, self.idle_s)
        self.histories: list[Messages] = []
        self.waiting: list[str] = []
        """The session in which a client's last turn was."""
        self.owner: dict[str, int] = {}
        self.alive: set[str] = set()
        self.answered: set[int] = set()
        """Clients whose last request has its reply."""

    def _ask(self, number: int) -> None:
        resolution = self.client.ask(self.histories[number])
        session = resolution.session
        if resolution.relation in ("continued", "retry"):
            assert session in self.alive
            assert self.owner[session] == number, "two clients were merged"
        else:
            assert session not in self.owner
        self.owner[session] = number
        self.alive.add(session)
        self.answered.discard(number)
        self.waiting[number] = session
        assert 0 <= resolution.fresh_from < len(self.histories[number])

    def _reply(self, number: int, text: str, *, calls: bool) -> dict[str, Any]:
        said = [call(f"{text}{number}" if self.ids_are_unique else text)] if calls else []
        self.client.reply(self.waiting[number], text, *said)
        self.answered.add(number)
        return assistant(text, *said)

    @rule(target=clients, text=st.sampled_from(["a", "b"]))
    def start(self, text: str) -> int:
        self.histories.append([user(text)])
        self.waiting.append("")
        self._ask(len(self.histories) - 1)
        return len(self.histories) - 1

    @rule(
        number=clients, text=st.sampled_from(["x", "y"]), calls=st.booleans(), more=st.sampled_from(["p", "q"])
    )
    def reply_and_go_on(self, number: int, text: str, calls: bool, more: str) -> None:
        if number in self.answered:
            return
        said = self._reply(number, text, calls=calls or self.ids_are_unique)
        self.histories[number] += [said, user(more)]
        self._ask(number)

    @rule(number=clients, text=st.sampled_from(["x", "y"]))
    def reply_and_stop(self, number: int, text: str) -> None:
        if number not in self.answered:
            self._reply(number, text, calls=True)

    @rule(seconds=st.sampled_from([1.0, 15.0]))
    def pass_time(self, seconds: float) -> None:
        self.client.now += seconds

    @invariant()
    def bounded(self) -> None:
        for session in self.client.table.expire(self.client.now):
            self.alive.remove(session)
        in_flight = len(self.histories) - len(self.answered)
        assert len(self.client.table) == len(self.alive) <= self.limit + in_flight


class ForgetfulLineages(Lineages):
    """In little memory: a session that was dropped must not be taken for another with the same requests."""

    limit = 4
    idle_s = 20.0
    ids_are_unique = True


Lineages.TestCase.settings = ForgetfulLineages.TestCase.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None
)
test_clients_that_speak_alike_are_never_merged = Lineages.TestCase
test_nor_are_those_that_were_forgotten = ForgetfulLineages.TestCase


@pytest.mark.parametrize("count", [1, 50])
def test_forgetting_all_leaves_nothing(count: int) -> None:
    client = Client()
    for n in range(count):
        session = client.ask([user(str(n % 5)), *START], name="n" * (n % 2)).session
        client.reply(session, "Yes.", call())
        client.table.forget(session)
    assert len(client.table) == 0
    assert not any(vars(client.table)[held] for held in ("_lineages", "_tips", "_seen", "_named"))
