"""Sessions that are over by all that is known: what their backend keeps of them may go at once.

What was used last goes last from an engine's memory, and of a finished session that is all. Where sessions of
its application were seen to stay away after a reply that asks for no call, nobody waits for a word of its end.
Only the engine's memory is touched: to the proxy it is the session that it was, should it come all the same.
"""

from collections import OrderedDict
from collections.abc import Callable

from paste_proxy.events import Decision, LetGo
from paste_proxy.schedule.estimates import Application


class Endings:
    def __init__(self, sessions: int, decide: Callable[[Decision], None], *, learns: bool) -> None:
        """`sessions`: how many are remembered. `learns`: it may be told by what was seen, and not by clients
        alone."""
        self.expected_over = 0
        """Since the start, whether a backend could be told or not, and..."""
        self.came_back = 0
        """...those of them that came all the same."""
        self._limit = sessions
        self._decide = decide
        self.learns = learns
        self._gone: OrderedDict[str, None] = OrderedDict()

    def came(self, session: str, application: Application, now: float) -> None:
        """A request of it is here, or of one that goes on from it."""
        application.ends.came(session, now)
        if session in self._gone:
            del self._gone[session]
            self.came_back += 1

    def ended(self, session: str, application: Application, now: float) -> bool:
        """Its reply asks for no call, and nobody has asked after it. True where it is expected to be over:
        backends that know it by name are told then, others have nothing to be told."""
        application.ends.ended(session, now)
        if not self.learns or application.goes_on or not application.ends.are_final:
            return False
        self.expected_over += 1
        self._gone[session] = None
        if len(self._gone) > self._limit:
            self._gone.popitem(last=False)
        self._decide(LetGo(session))
        return True
