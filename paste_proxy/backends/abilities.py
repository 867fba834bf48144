"""What one backend can do, asked for once it answers, and again when it may be another."""

import logging

import msgspec

from paste_proxy.backends.adapters import Backend
from paste_proxy.backends.asking import Asker
from paste_proxy.backends.reading import LoadSource, Reading, ServerInfo
from paste_proxy.config import BackendConfig
from paste_proxy.schedule.backends import BackendCapacity, PriorityBand

log = logging.getLogger(__name__)

NO_INFO = ServerInfo()


class Abilities(msgspec.Struct, frozen=True):
    """Beyond its kind. What is not known here is not used."""

    info: ServerInfo = NO_INFO
    info_path: str = ""
    """Where it said that; empty: nowhere."""
    source: LoadSource | None = None
    """What tells its load; None: nothing does."""
    reading: Reading | None = None
    wants_key: bool = False
    """It would say more to one who shows its key."""
    abort_path: str = ""
    band: PriorityBand | None = None
    """Priorities that requests may be sent with."""
    why_no_band: str = ""
    session_radix: bool = False
    """Requests may name their session, and a session that is over is told."""

    @property
    def capacity(self) -> BackendCapacity:
        """What tells the load knows it better: how the engine was started is not all that it came to."""
        reading = self.reading
        return BackendCapacity(
            kv_tokens=(reading.kv_tokens if reading else 0) or self.info.kv_tokens,
            running=(reading.running if reading else 0) or self.info.running,
            priority=self.band,
            ranks=self.info.ranks,
            lets_go=self.session_radix,
        )


NO_ABILITIES = Abilities()


async def find_abilities(asker: Asker, backend: Backend, config: BackendConfig) -> Abilities:
    """Asks what there is to ask of this kind of backend."""
    info, info_path, refused = await _server_info(asker, backend)
    source, reading, refused_load = await _load_source(asker, backend)
    band, why = band_of(backend, info, config)
    return Abilities(
        info=info or NO_INFO,
        info_path=info_path,
        source=source,
        reading=reading,
        wants_key=refused or refused_load,
        abort_path=await _abort_path(asker, backend),
        band=band,
        why_no_band=why,
        session_radix=config.session_radix == "auto" and info is not None and info.session_radix,
    )


def band_of(
    backend: Backend, info: ServerInfo | None, config: BackendConfig
) -> tuple[PriorityBand | None, str]:
    """The priorities to be used, or why none are."""
    if config.priority == "off":
        return None, "set backend.priority: auto"
    if info is not None and (info.band is not None or config.priority == "auto" or info.policy):
        return info.band, info.why_no_band
    if config.priority == "on" and backend.vouched_band is not None:
        return backend.vouched_band, ""
    return None, backend.priority_advice


async def _server_info(asker: Asker, backend: Backend) -> tuple[ServerInfo | None, str, bool]:
    refused = False
    for path in backend.info_paths:
        answer = await asker.get(path, backend.info_patience_s)
        refused |= answer.wants_key
        if answer.status == 200 and (info := backend.read_info(answer.body)) is not None:
            return info, path, refused
    return None, "", refused


async def _load_source(asker: Asker, backend: Backend) -> tuple[LoadSource | None, Reading | None, bool]:
    refused = False
    for source in backend.loads:
        answer = await asker.get(source.path)
        refused |= answer.wants_key
        reading = source.read(answer.body) if answer.status == 200 else None
        if reading is not None:
            return source, reading, refused
    return None, None, refused


async def _abort_path(asker: Asker, backend: Backend) -> str:
    """Asked to end nothing, a server that may be asked says yes."""
    if not backend.abort_path or not backend.abort_if_there:
        return backend.abort_path
    answer = await asker.post(backend.abort_path, {backend.abort_key: []})
    return backend.abort_path if answer.status == 200 else ""
