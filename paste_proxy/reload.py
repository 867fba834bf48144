"""A configuration that is read again while the proxy runs: all that can change at once does, or nothing does.

What can't change without a start keeps its value, and is named: the operator must not believe that it is so.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from paste_proxy.access.access import Access
from paste_proxy.allowing import check_allowed, note_unknown_tools
from paste_proxy.config import Config
from paste_proxy.config_reading import check_config
from paste_proxy.errors import ConfigError
from paste_proxy.events import ConfigChanged
from paste_proxy.proxy.lines import Lines
from paste_proxy.runtime import Runtime
from paste_proxy.tools.http.executor import HTTP
from paste_proxy.tools.table import PLUGINS

log = logging.getLogger(__name__)

HOT_SPECULATION = (
    "allow",
    "budgets",
    "waste",
    "candidates",
    "min_probability",
    "min_service_s",
    "sample",
    "chain_depth",
)
HOT_SCHEDULE = ("max_hold_s", "keepalive_s", "close_sessions")
HOT = (
    "backend",
    "backends",
    "tenants",
    *(f"speculation.{key}" for key in HOT_SPECULATION),
    *(f"schedule.{key}" for key in HOT_SCHEDULE),
)
"""What may change while the proxy runs, with all below it. `docs/configuration.md` says so, too."""


class Changes(msgspec.Struct, frozen=True):
    """Paths of keys."""

    made: tuple[str, ...]
    wait: tuple[str, ...]
    """They need a start."""


class Reloader:
    def __init__(
        self,
        config: Config,
        runtime: Runtime,
        access: Access,
        lines: Lines,
        take: Iterable[Callable[[Config], object]],
        changed: Callable[[], None],
    ) -> None:
        """`take`: what of it is read anew by others. `changed` is called when all has changed: clients are told
        which of their tools may run ahead now."""
        self.config = config
        """What is in force."""
        self._runtime = runtime
        self._access = access
        self._lines = lines
        self._take = tuple(take)
        self._changed = changed

    def reload(self, wanted: Config) -> Changes:
        """Raises `ConfigError`, and then nothing has changed."""
        changes = _changes(self.config, wanted)
        config = _in_force(self.config, wanted)
        check_config(config)
        self._check(config)
        admit = self._access.prepare(config)
        connect = self._lines.prepare(config)
        # Nothing fails, and nobody else runs, from here on.
        self.config = config
        admit()
        connect()
        for take in self._take:
            take(config)
        self._runtime.tell(ConfigChanged(config))
        self._changed()
        _tell(changes)
        return changes

    def _check(self, config: Config) -> None:
        """A start would have refused these, too."""
        param = "backends" if self.config.backends else "backend.url"
        if _has_backend(self.config) and not _has_backend(config):
            raise ConfigError(f"{param}: no backend is left; name one there", param=param)
        if self.config.tenants and not config.tenants:
            raise ConfigError(
                "tenants: none is left, so that nobody would be asked for a key; that needs a start",
                param="tenants",
            )
        tools = self._runtime.core.tools
        declared = {name: spec for name, spec in tools.items() if tools.source(name) in (PLUGINS, HTTP)}
        check_allowed(config, declared, tools)
        note_unknown_tools(config, tools)


def _has_backend(config: Config) -> bool:
    return bool(config.backends or config.backend.url)


def _in_force(old: Config, wanted: Config) -> Config:
    speculation = {key: getattr(wanted.speculation, key) for key in HOT_SPECULATION}
    schedule = {key: getattr(wanted.schedule, key) for key in HOT_SCHEDULE}
    return replace(
        old,
        backend=wanted.backend,
        backends=wanted.backends,
        tenants=wanted.tenants,
        speculation=replace(old.speculation, **speculation),
        schedule=replace(old.schedule, **schedule),
    )


def _changes(old: Config, wanted: Config) -> Changes:
    paths = list(_differences(old, wanted, ""))
    made = [path for path in paths if _is_hot(path)]
    return Changes(tuple(made), tuple(path for path in paths if path not in made))


def _is_hot(path: str) -> bool:
    return any(path == key or path.startswith(key + ".") for key in HOT)


def _differences(old: Any, new: Any, path: str) -> Iterator[str]:
    """The deepest keys that differ; entries of a mapping that came or went as a whole."""
    if old == new:
        return
    prefix = path + "." if path else ""
    if isinstance(old, msgspec.Struct) and type(old) is type(new):
        for key in old.__struct_fields__:
            yield from _differences(getattr(old, key), getattr(new, key), prefix + key)
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            if key in old and key in new:
                yield from _differences(old[key], new[key], prefix + str(key))
            else:
                yield prefix + str(key)
    else:
        yield path


def _tell(changes: Changes) -> None:
    if not (changes.made or changes.wait):
        log.info("the configuration is the same as before")
    if changes.made:
        log.info("the configuration was changed: %s", ", ".join(changes.made))
    if changes.wait:
        log.warning("not changed, since it needs a start: %s", ", ".join(changes.wait))
