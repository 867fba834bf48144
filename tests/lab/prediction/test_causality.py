"""What is expected of a turn rests on nothing that comes after it."""

from pathlib import Path

import pytest

from paste_proxy.lab.prediction.judge import Judgement, judge
from paste_proxy.lab.prediction.lessons import new_predictor, teach, tools_of
from paste_proxy.lab.prediction.sessions import Session, read_sessions
from paste_proxy.predict.model import Predictor
from tests.lab.virtual.service import session as recorded_session
from tests.lab.virtual.service import written

LEARNT = 12
MESSAGES = (2, 4, 6, 8, 10, 12)
"""That are left of the session: up to a turn's request."""


def decisions(predictor: Predictor, session: Session, tools: frozenset[str]) -> Judgement:
    judgement = Judgement()
    judge(predictor, session, tools, judgement)
    return judgement


@pytest.mark.parametrize("kept", MESSAGES)
def test_what_comes_later_may_be_anything(tmp_path: Path, kept: int) -> None:
    learnt = read_sessions(written(tmp_path, [recorded_session(n) for n in range(LEARNT)]), ())
    tested, other = recorded_session(50), recorded_session(60)
    later = [*tested["turns"][:kept], *reversed(other["turns"][2:])]
    [whole, cut] = read_sessions(written(tmp_path, [tested, {**tested, "turns": later}], "b.jsonl"), ())
    predictor, tools = new_predictor(), tools_of(learnt)
    for session in learnt:
        teach(predictor, session)
    turns = sum(turn["role"] == "assistant" for turn in tested["turns"][:kept])
    first, second = (decisions(predictor, session, tools).decisions for session in (whole, cut))
    same = sum(len(turn.calls) + 1 for turn in whole.turns[:turns])
    assert same > 0 or kept == MESSAGES[0]
    assert first[:same] == second[:same]
    assert first != second
    assert [one.estimate for one in first[: same + 1]] == [one.estimate for one in second[: same + 1]]
