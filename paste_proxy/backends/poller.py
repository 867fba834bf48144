"""Asks one backend again and again how busy it is."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from paste_proxy.backends.asking import Asker
from paste_proxy.backends.reading import LoadSource, Reading

BACK_OFF_MOST_S = 30.0
"""Between questions to one that does not tell its load: it may be another engine after a restart, and that is
no hurry."""


class LoadPoller:
    """Tells every reading; and None, once, when the load is not known any more.

    `sources` are tried in order until one tells; that one is asked from then on, until it fails.
    """

    def __init__(
        self,
        asker: Asker,
        sources: Sequence[LoadSource],
        interval_s: float,
        tell: Callable[[Reading | None], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._asker = asker
        self.sources = tuple(sources)
        self._interval_s = interval_s
        self._tell = tell
        self._sleep = sleep
        self.source: LoadSource | None = None
        """The one that told last."""
        self.failures = 0
        """Questions that nobody answered with a load."""

    async def run(self) -> None:
        """Until it is cancelled."""
        misses = 0
        while True:
            reading = await self.ask()
            if reading is not None:
                misses = 0
                self._tell(reading)
            else:
                misses += 1
                self.failures += 1
                if misses == 1:
                    self._tell(None)
            await self._sleep(self._pause(misses))

    async def ask(self) -> Reading | None:
        """Once."""
        known = self.source
        self.source = None
        for source in [*([known] if known else []), *(one for one in self.sources if one is not known)]:
            answer = await self._asker.get(source.path)
            if answer.down:
                return None
            reading = source.read(answer.body) if answer.status == 200 else None
            if reading is not None:
                self.source = source
                return reading
        return None

    def _pause(self, misses: int) -> float:
        """Doubled with every miss in a row."""
        return min(self._interval_s * 2.0 ** min(misses, 16), max(BACK_OFF_MOST_S, self._interval_s))
