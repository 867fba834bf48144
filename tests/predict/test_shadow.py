"""The shadow counts what the broker would have released, and no more."""

from paste_proxy.predict.model import Prediction
from paste_proxy.predict.shadow import AWAITED, HELD, HELD_S, TOOLS, Shadow

READERS = {"read", "look"}


class Desk:
    def __init__(self) -> None:
        self.served: list[tuple[str, float]] = []
        self.shadow = Shadow(READERS.__contains__, lambda tool, seconds: self.served.append((tool, seconds)))

    def guess(self, now: float, k: int = 1, *, tool: str = "read", level: int = 0, session: str = "s") -> str:
        """What becomes of it is told by the prediction that is returned as its outcome when asked."""
        self.last = Prediction(now, tool, {"k": k}, level, 0.5, 0.5, 0.0, "because")
        self.shadow.expect(session, tool, f'{{"k":{k}}}', level, self.last, now)
        return self.last.outcome

    def ask(
        self, now: float, k: int = 1, call_id: str = "c", *, tool: str = "read", session: str = "s"
    ) -> None:
        self.shadow.asked(session, call_id, tool, f'{{"k":{k}}}', now)

    def figures(self, tool: str = "read") -> tuple[int, int, float]:
        tally = self.shadow.tallies[tool]
        return sum(tally.used), sum(tally.unused), sum(tally.saved_s)


def test_a_slow_tool_saves_the_lead_and_a_fast_one_its_own_time() -> None:
    for service, saved in ((10.0, 4.0), (1.0, 1.0)):
        desk = Desk()
        desk.guess(0.0)
        desk.ask(4.0)
        desk.shadow.turn_ended("s", 5.0)
        desk.shadow.answered("s", {"c"}, 5.0 + service)
        assert desk.figures() == (1, 0, saved)
        assert desk.served == [("read", service)]


def test_a_call_is_known_to_be_right_at_once_and_saves_when_its_result_comes() -> None:
    desk = Desk()
    assert desk.guess(0.0) == "held"
    prediction = desk.last
    desk.ask(1.0)
    assert desk.figures() == (1, 0, 0.0)
    assert prediction.outcome == "used"


def test_each_level_has_its_own_figures() -> None:
    desk = Desk()
    desk.guess(0.0, level=2)
    desk.ask(1.0)
    desk.shadow.answered("s", {"c"}, 9.0)
    tally = desk.shadow.tallies["read"]
    assert (tally.used, tally.saved_s) == ([0, 0, 1, 0], [0.0, 0.0, 1.0, 0.0])


def test_a_guess_serves_one_call_of_its_session_that_is_exactly_equal() -> None:
    desk = Desk()
    desk.guess(0.0)
    desk.ask(1.0, session="other")
    desk.ask(1.0, 2, "c2")
    desk.ask(1.0, 1, "c3")
    desk.ask(1.0, 1, "c4")
    assert desk.figures() == (1, 0, 0.0)
    assert desk.shadow.tallies["read"].calls == 4


def test_what_is_guessed_twice_is_held_once_from_the_first_time_on() -> None:
    desk = Desk()
    desk.guess(0.0)
    assert desk.guess(3.0) == ""
    desk.ask(4.0)
    desk.shadow.answered("s", {"c"}, 99.0)
    assert desk.figures() == (1, 0, 4.0)


def test_what_nobody_asks_for_in_time_is_unused() -> None:
    desk = Desk()
    desk.guess(0.0)
    prediction = desk.last
    desk.ask(HELD_S + 1)
    assert desk.figures() == (0, 1, 0.0)
    assert prediction.outcome == "unused"


def test_what_is_still_held_when_its_session_ends_is_unused() -> None:
    desk = Desk()
    desk.guess(0.0)
    desk.shadow.forget("s")
    assert desk.figures() == (0, 1, 0.0)
    assert desk.shadow.held == 0


def test_a_call_of_a_tool_that_may_write_voids_the_guesses_of_others() -> None:
    desk = Desk()
    desk.guess(0.0, tool="read")
    desk.guess(0.0, 7, tool="shell")
    prediction = desk.last
    desk.ask(1.0, 1, "c1", tool="shell")
    desk.ask(2.0, 1, "c2")
    assert desk.figures() == (0, 1, 0.0)
    assert prediction.outcome == "held", "its row tells what it would give if it only read"
    desk.ask(3.0, 7, "c3", tool="shell")
    assert desk.figures("shell") == (1, 0, 0.0)


def test_a_call_of_a_tool_that_reads_voids_nothing() -> None:
    desk = Desk()
    desk.guess(0.0)
    desk.ask(1.0, tool="look")
    desk.ask(2.0)
    assert desk.figures() == (1, 0, 0.0)


def test_while_a_write_waits_for_its_result_nothing_else_would_run_ahead() -> None:
    desk = Desk()
    desk.ask(1.0, tool="shell")
    assert desk.guess(2.0) == ""
    assert desk.guess(2.0, 7, tool="shell") == "held", "its row tells what it would give if it only read"
    desk.ask(3.0, 1, "c2")
    desk.shadow.turn_ended("s", 4.0)
    desk.shadow.answered("s", {"c", "c2"}, 9.0)
    assert desk.figures() == (0, 0, 0.0)
    desk.guess(10.0)
    desk.ask(11.0, 1, "c3")
    assert desk.figures() == (1, 0, 0.0)


def test_a_write_of_another_session_is_its_own() -> None:
    desk = Desk()
    desk.ask(1.0, tool="shell", session="other")
    assert desk.guess(2.0) == "held"


def test_a_write_that_its_session_went_on_without_waits_no_more() -> None:
    desk = Desk()
    desk.ask(1.0, 1, "failed", tool="shell")
    desk.ask(1.0, 1, "kept", tool="shell")
    desk.shadow.left("s", {"kept"})
    assert desk.guess(2.0) == ""
    desk.shadow.left("s", ())
    assert desk.guess(2.0) == "held"
    desk.shadow.left("unknown", ())


def test_results_that_come_together_share_the_time() -> None:
    desk = Desk()
    desk.guess(0.0, 1)
    desk.guess(0.0, 2)
    for k in (1, 2):
        desk.ask(10.0, k, f"c{k}")
    desk.shadow.turn_ended("s", 10.0)
    desk.shadow.answered("s", {"c1", "c2"}, 14.0)
    assert desk.figures() == (2, 0, 4.0)


def test_a_call_without_an_id_is_answered_by_the_next_request() -> None:
    desk = Desk()
    desk.guess(0.0)
    desk.ask(2.0, call_id="")
    desk.shadow.answered("s", set(), 9.0)
    assert desk.figures() == (1, 0, 2.0)


def test_all_is_bounded() -> None:
    desk = Desk()
    for k in range(HELD + 5):
        desk.guess(0.0, k)
    assert desk.shadow.held == HELD
    assert desk.figures() == (0, 5, 0.0)
    for k in range(AWAITED + 5):
        desk.ask(0.0, 10_000 + k, f"c{k}")
    assert len(desk.shadow._sessions["s"].awaited) == AWAITED
    for number in range(TOOLS + 5):
        desk.ask(0.0, tool=f"tool {number}")
    assert len(desk.shadow.tallies) == TOOLS


def test_tools_beyond_those_that_are_told_apart_are_counted_together() -> None:
    desk = Desk()
    for number in range(TOOLS):
        desk.ask(0.0, tool=f"tool {number}", session="other")
    for tool in ("read", "look"):
        assert desk.guess(0.0, tool=tool) == "held"
        desk.guess(0.0, 2, tool=tool)
        desk.ask(4.0, tool=tool, call_id=tool)
    desk.shadow.turn_ended("s", 4.0)
    desk.shadow.answered("s", {"read"}, 9.0)
    desk.shadow.forget("s")
    others = desk.shadow.others
    assert (others.calls, others.answered, others.service_s) == (2, 1, 5.0)
    assert (sum(others.used), sum(others.unused), sum(others.saved_s)) == (2, 2, 4.0)
    assert desk.served == [("read", 5.0)]
    assert "read" not in desk.shadow.tallies


def test_what_nobody_asked_for_in_time_was_for_nothing_though_nothing_more_comes() -> None:
    desk = Desk()
    desk.guess(0.0)
    desk.guess(HELD_S, k=2)
    desk.shadow.expire(HELD_S + 1)
    assert desk.figures() == (0, 1, 0.0)
    assert (desk.last.outcome, desk.shadow.held) == ("held", 1)
