"""The speculations that may still be claimed: by key, by session, and those whose run has a slot."""

from collections.abc import Container, Iterator

from paste_proxy.broker.keys import CallKey
from paste_proxy.broker.lifecycle import State
from paste_proxy.broker.speculation import Speculation
from paste_proxy.tools.ports import RunClass


class Live:
    """What it lists is as it is now: some of it may end before its turn in the list comes."""

    def __init__(self) -> None:
        self._by_key: dict[CallKey, Speculation] = {}
        self._of_session: dict[str, dict[CallKey, Speculation]] = {}
        self._in_slots: dict[str, Speculation] = {}
        """By the id of its run."""

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Speculation]:
        return iter(list(self._by_key.values()))

    def find(self, key: CallKey) -> Speculation | None:
        return self._by_key.get(key)

    def of_session(self, session: str) -> list[Speculation]:
        return list(self._of_session.get(session, {}).values())

    def behind_others(self, session: str, asked: Container[tuple[str, str]]) -> list[Speculation]:
        """Those that are only expected behind a call of the turn that is not in `asked` (tool, canonical
        arguments)."""
        found = []
        for one in self.of_session(session):
            first = one.path[0]
            missed = (first.key.tool, first.key.arguments) not in asked
            if one.parent is not None and missed and not first.turns_ahead:
                found.append(one)
        return found

    def too_late(self, session: str) -> list[Speculation]:
        """The session's turn is over: the guesses for it that have not begun."""
        late = []
        for one in self.of_session(session):
            if one.turns_ahead:
                one.turns_ahead -= 1
            elif one.state is State.QUEUED and one.run_class is RunClass.SPECULATIVE:
                late.append(one)
        return late

    def victim(self, tool: str | None) -> Speculation | None:
        """Of those with a slot (of `tool`) the lowest class, of that worth least, of those the newest."""
        victims = (one for one in self._in_slots.values() if tool is None or one.spec.name == tool)
        return max(victims, key=lambda one: (one.run_class, -one.worth, one.created), default=None)

    def add(self, speculation: Speculation) -> None:
        key = speculation.key
        self._by_key[key] = speculation
        self._of_session.setdefault(key.session, {})[key] = speculation

    def enter_slot(self, speculation: Speculation) -> None:
        self._in_slots[speculation.id] = speculation

    def leave_slot(self, run: str) -> None:
        self._in_slots.pop(run, None)

    def remove(self, speculation: Speculation) -> None:
        key = speculation.key
        del self._by_key[key], self._of_session[key.session][key]
        if not self._of_session[key.session]:
            del self._of_session[key.session]
        self.leave_slot(speculation.id)
