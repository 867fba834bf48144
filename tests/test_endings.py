"""Sessions that are let go after a reply without a call: tasks once that was learnt, chats never, and for no
more than what was seen."""

import json
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.config import Config
from paste_proxy.config_schedule import ScheduleConfig
from paste_proxy.core import Core
from paste_proxy.endings import Endings
from paste_proxy.events import BackendUp, Decision, Identity, LetGo, TurnClosed
from paste_proxy.grammar.events import TurnEnded, Usage, UsageReported
from paste_proxy.grammar.requests import parse_chat_request
from paste_proxy.schedule.backends import BackendCapacity
from paste_proxy.schedule.estimates import BACK_S, ENDS, SELDOM_BACK, Application, Ends
from paste_proxy.sessions.state import SessionState
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import OFFERED, SPECS
from tests.talk import NoPredictor, Talk

LONG_S = BACK_S + 1


class Site:
    """An engine that lets go of what it is told, and its clients."""

    def __init__(self, *, lets_go: bool = True, schedule: ScheduleConfig | None = None) -> None:
        config = Config(schedule=schedule or ScheduleConfig())
        self.core = Core(ToolTable(SPECS), config, NoPredictor())
        self.core.handle(BackendUp("", BackendCapacity(kv_tokens=100_000, lets_go=lets_go)), 0.0)
        self.now = 0.0

    def talk(self, name: str, *, final: bool = False) -> Talk:
        return Talk(self.core, Identity(session=name, final=final))

    def says(self, talk: Talk, *, calls: bool = False) -> list[str]:
        """A turn of its session: which ones are let go with it."""
        talk.now = self.now
        talk.ask()
        if calls:
            talk.seals("look")
        talk.hears(UsageReported(Usage(1000, 100)))
        told = self.ends(talk)
        if calls:
            talk.answers()
        else:
            talk.messages.append({"role": "assistant", "content": ""})
            talk.messages.append({"role": "user", "content": "and?"})
        self.now = talk.now
        return told

    def ends(self, talk: Talk) -> list[str]:
        talk.hears(TurnEnded("stop"))
        return [
            one.session for one in talk.tell(TurnClosed(talk.turn, complete=True)) if isinstance(one, LetGo)
        ]

    def learn(self, tasks: int = ENDS) -> list[str]:
        """So many tasks of two turns end, and nobody comes back."""
        told = []
        for number in range(tasks):
            task = self.talk(f"task {number}")
            told += self.says(task, calls=True) + self.says(task)
        self.now += LONG_S
        return told

    @property
    def held(self) -> int:
        """Sessions of which something is in the engine's memory, by our account."""
        memory = self.core.pacing._backend("").memory
        return sum(memory.holds(session) > 0 for session in self.core.turns.sessions)


def test_a_task_is_let_go_at_its_end_once_others_were_seen_to_stay_away() -> None:
    site = Site()
    assert site.learn() == []
    held = site.held
    task = site.talk("task")
    assert site.says(task, calls=True) == []
    assert (site.held, site.core.pacing.facts_of("").leased) == (held + 1, 1)
    [session] = site.says(task)
    assert (site.held, site.core.pacing.facts_of("").leased) == (held, 0)
    assert session in site.core.turns.sessions, "to the proxy it is a session as before"
    assert site.core.pacing.endings.expected_over == 1


def test_nobody_is_let_go_before_enough_was_seen() -> None:
    site = Site()
    site.learn(ENDS - 1)
    assert site.says(site.talk("task")) == []


def test_ends_that_may_still_prove_none_count_for_nothing() -> None:
    site = Site()
    for number in range(2 * ENDS):
        assert site.says(site.talk(f"task {number}")) == []


def test_who_comes_back_all_the_same_is_the_session_that_it_was_and_is_learnt_from() -> None:
    site = Site()
    site.learn()
    task = site.talk("task")
    [session] = site.says(task)
    born = site.core.pacing._sessions[session].born
    site.says(task, calls=True)
    assert len([one for one in site.core.turns.sessions.values() if one.name == "task"]) == 1
    assert site.core.pacing._sessions[session].born == born
    assert site.core.pacing.endings.came_back == 1
    for number in range(10):
        site.says(other := site.talk(f"other {number}"))
        site.says(other)
    assert site.says(site.talk("one more")) == [], "they do come back of late"


def test_a_chat_is_never_let_go() -> None:
    site = Site()
    chats = [site.talk(f"chat {number}") for number in range(20)]
    for _ in range(8):
        for chat in chats:
            assert site.says(chat) == []
        site.now += 300.0
    site.now += LONG_S
    assert site.says(site.talk("chat")) == []


def test_a_session_with_another_turn_under_way_is_not_let_go() -> None:
    site = Site()
    site.learn()
    pacing, queue = site.core.pacing, site.core.queue
    request = parse_chat_request(json.dumps({"messages": [], "tools": OFFERED}).encode())
    for turn in ("first", "second"):
        pacing.requested(turn, SessionState("s", "default"), request, Identity(), site.now)
        queue.ask(pacing.asked(turn, ""), "turns:")
    queue.startable()
    before = pacing.endings.expected_over
    for turn in ("first", "second"):
        pacing.sent(turn, site.now)
        pacing.streamed(turn, TurnEnded("stop"), site.now)
        queue.release(turn)
        pacing.closed(turn, site.now, complete=True)
        assert pacing.endings.expected_over - before == (turn == "second")


def test_an_edited_history_means_that_its_session_came_back() -> None:
    site = Site()
    site.learn()
    task = site.talk("task")
    assert len(site.says(task)) == 1
    edited = site.talk("task")
    edited.messages = [{"role": "user", "content": "go"}, {"role": "user", "content": "another way"}]
    site.says(edited)
    assert site.core.pacing.endings.came_back == 1


def test_where_the_engine_can_not_let_go_it_has_the_session_still() -> None:
    site = Site(lets_go=False)
    site.learn()
    held = site.held
    assert len(site.says(site.talk("task"))) == 1
    assert site.held == held + 1


def test_the_operator_may_have_clients_alone_say_it() -> None:
    site = Site(schedule=ScheduleConfig(close_sessions="told"))
    site.learn()
    assert site.says(site.talk("task")) == []


def test_a_last_request_ends_the_lease_where_sessions_go_on() -> None:
    site = Site()
    chat = site.talk("chat")
    for _ in range(20):
        site.says(chat)
    assert site.core.pacing.facts_of("").leased == 1
    chat.identity = Identity(session="chat", final=True)
    site.says(chat)
    assert site.core.pacing.facts_of("").leased == 0


# -- by no more than what was seen ------------------------------------------------------------------------

Step = tuple[bool, int, float]
STEPS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 5), st.sampled_from([0.0, 1.0, 100.0, BACK_S / 2, BACK_S, LONG_S])),
    max_size=200,
)
"""A session's reply ends, or it comes; which one; and what passes before."""


def played(steps: list[Step]) -> list[tuple[int, float]]:
    """What is known after each step: how many ends, and what share of them sessions came back from."""
    ends, now, known = Ends(), 0.0, []
    for ended, number, passed in steps:
        now += passed
        (ends.ended if ended else ends.came)(f"s{number}", now)
        known.append((ends._back.count, ends._back.value))
    return known


@given(STEPS, st.integers(0, 200))
def test_what_comes_later_changes_nothing_of_what_was_known(steps: list[Step], cut: int) -> None:
    assert played(steps[:cut]) == played(steps)[:cut]


@given(STEPS)
def test_each_end_counts_once_and_when_it_is_known(steps: list[Step]) -> None:
    """Against looking at all of it each time."""
    now, waits, counts = 0.0, dict[str, float](), deque[float]()
    for (ended, number, passed), (count, _) in zip(steps, played(steps), strict=True):
        now += passed
        for name in [name for name, at in waits.items() if at + BACK_S <= now]:
            del waits[name]
            counts.append(0.0)
        if ended:
            waits.setdefault(f"s{number}", now)
        elif waits.pop(f"s{number}", None) is not None:
            counts.append(1.0)
        assert count == len(counts)


@given(st.lists(st.tuples(st.integers(2, 9), st.floats(0.0, BACK_S - 1)), min_size=1, max_size=60))
def test_chats_that_come_back_are_let_go_in_no_order(chats: list[tuple[int, float]]) -> None:
    """Each comes back after every turn but its last."""
    told: list[Decision] = []
    application, endings = Application(), Endings(1000, told.append, learns=True)
    moments = sorted(
        (number * 7.0 + turn * gap, turn, number)
        for number, (length, gap) in enumerate(chats)
        for turn in range(length)
    )
    for at, turn, number in moments:
        if turn:
            endings.came(f"s{number}", application, at)
        endings.ended(f"s{number}", application, at)
    assert told == []


@pytest.mark.parametrize(("back", "final"), [(0, True), (3, True), (4, False), (32, False)])
def test_how_many_may_come_back(back: int, final: bool) -> None:
    ends = Ends()
    for number in range(ENDS):
        ends.ended(f"s{number}", 0.0)
    for number in range(back):
        ends.came(f"s{number}", 1.0)
    ends.came("", LONG_S)
    assert ends.are_final is final
    assert (back / ENDS <= SELDOM_BACK) is final
