"""A session's histories, one for each turn, and learning from them: all by the core's own code."""

from collections.abc import Iterable, Iterator

from paste_proxy.lab.prediction.sessions import Session, Turn
from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.model import History, Predictor
from paste_proxy.predict.predictor import PatternPredictor
from paste_proxy.sessions.history import SessionHistory


def new_table() -> Ledger:
    """Of one tenant alone, who shares nothing."""
    return Ledger()


def new_predictor(without: frozenset[str] = frozenset()) -> Predictor:
    """That of the proxy, before it has learnt anything; less the parts that are left out."""
    return PatternPredictor(new_table(), without)


def turns_of(session: Session) -> Iterator[tuple[History, Turn]]:
    """Each turn with the history that its request told. It is the same object, which grows."""
    history = SessionHistory(session.name)
    history.history.origin = session.task
    history.history.offered = frozenset(session.offered)
    for turn in session.turns:
        history.take(turn.fresh, {})
        history.read()
        yield history.history, turn


def teach(predictor: Predictor, session: Session) -> None:
    """Have it learn from every turn of a session."""
    for history, turn in turns_of(session):
        stream = predictor.begin(history, ())
        if turn.reasoning or turn.text:
            stream.heard(f"{turn.reasoning}\n{turn.text}\n")
        predictor.learn(history, [one.call for one in turn.calls])


def tools_of(sessions: Iterable[Session]) -> frozenset[str]:
    """The tools that are called there."""
    return frozenset(one.call.tool for session in sessions for turn in session.turns for one in turn.calls)
