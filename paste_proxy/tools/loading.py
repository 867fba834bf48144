"""Finds the tools of plugins: by path (a file or a package folder) or by installed entry point.

A plugin is a module. Its tools are what its `plugin(options)` returns or, without such a function, the
`Tool` objects in its namespace. Whatever goes wrong is one line that says where.
"""

import hashlib
import importlib.metadata
import importlib.util
import inspect
import sys
import traceback
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from paste_proxy.config import PluginConfig
from paste_proxy.errors import ConfigError, PluginError
from paste_proxy.tools.authoring import Tool
from paste_proxy.tools.spec import ToolSpec
from paste_proxy.tools.wire import Source

ENTRY_POINTS = "paste_proxy.plugins"


class Registry(Mapping[str, Tool[..., Any]]):
    """The tools by name. Raises `PluginError` where two have one name."""

    def __init__(self, tools: Iterable[Tool[..., Any]] = ()) -> None:
        self._tools: dict[str, Tool[..., Any]] = {}
        self._sources: dict[str, Source] = {}
        for tool in tools:
            self._add(tool)

    def __getitem__(self, name: str) -> Tool[..., Any]:
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    @property
    def specs(self) -> dict[str, ToolSpec]:
        return {name: tool.spec for name, tool in self._tools.items()}

    def source(self, name: str) -> Source | None:
        """Where a worker process finds the tool; None where it was made in this process only."""
        return self._sources.get(name)

    def add_plugin(self, config: PluginConfig, tools: Iterable[Tool[..., Any]]) -> None:
        for tool in tools:
            self._add(tool)
            self._sources[tool.spec.name] = Source(config, stamp(tool))

    def _add(self, tool: Tool[..., Any]) -> None:
        name = tool.spec.name
        if name in self._tools:
            raise PluginError(
                f"{tool.place}: tool {name!r} is already declared at {self._tools[name].place}; "
                "give one of them another name",
                param=name,
            )
        self._tools[name] = tool


def stamp(tool: Tool[..., Any]) -> str:
    """Tells whether the file that declares a tool has been changed; empty where it is no file."""
    try:
        status = Path(tool.file).stat()
    except OSError:
        return ""
    return f"{status.st_mtime_ns}:{status.st_size}"


def load_plugins(configs: Sequence[PluginConfig]) -> Registry:
    """Import the plugins and gather their tools. Raises `PluginError`, `ConfigError`."""
    registry = Registry()
    for config in configs:
        registry.add_plugin(config, load_plugin(config))
    return registry


def load_plugin(config: PluginConfig) -> list[Tool[..., Any]]:
    """The tools of one plugin. Raises `PluginError`, `ConfigError`."""
    label = config.path or config.entry_point
    if bool(config.path) == bool(config.entry_point):
        raise ConfigError("plugins: each needs either `path` or `entry_point`", param="plugins")
    file = _plugin_file(Path(config.path)) if config.path else None
    module = _module_at(file) if file is not None else _entry_point(config.entry_point)
    tools = _tools_of(module, label, config)
    if not tools:
        raise PluginError(f"{module.__file__}:1: no tools: decorate a function with @tool", param=label)
    return tools


def _plugin_file(path: Path) -> Path:
    file = path / "__init__.py" if path.is_dir() else path
    if file.suffix != ".py" or not file.is_file():
        kind = "a folder without __init__.py" if path.is_dir() else "no Python file"
        raise PluginError(
            f"{path}:0: not a plugin: {kind if path.exists() else 'no such file'}", param=str(path)
        )
    return file.resolve()


def _module_at(file: Path) -> ModuleType:
    """Import a file under a name of its own, so that two plugins called `tools.py` don't meet."""
    is_package = file.name == "__init__.py"
    stem = file.parent.name if is_package else file.stem
    name = f"paste_proxy_plugin_{stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    folders = [str(file.parent)] if is_package else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=folders)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: relative imports and typing look here
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _failure(file, error) from error
    return module


def _entry_point(name: str) -> ModuleType:
    found = list(importlib.metadata.entry_points(group=ENTRY_POINTS, name=name))
    if not found:
        known = ", ".join(sorted(one.name for one in importlib.metadata.entry_points(group=ENTRY_POINTS)))
        raise PluginError(
            f"entry point {name!r}: none installed in group {ENTRY_POINTS}; known: {known or 'none'}",
            param=name,
        )
    try:
        module = found[0].load()
    except (Exception, SystemExit) as error:
        spec = importlib.util.find_spec(found[0].module.partition(".")[0])
        origin = spec.origin if spec is not None else None
        raise _failure(Path(origin or found[0].module), error) from error
    if not isinstance(module, ModuleType):
        raise PluginError(f"entry point {name!r}: {found[0].value} is no module", param=name)
    return module


def _tools_of(module: ModuleType, label: str, config: PluginConfig) -> list[Tool[..., Any]]:
    factory = getattr(module, "plugin", None)
    if factory is None:
        if config.options:
            named = ", ".join(config.options)
            raise ConfigError(f"plugin {label}: takes no options, got {named}", param=label)
        tools = [value for value in vars(module).values() if isinstance(value, Tool)]
        return list({id(tool): tool for tool in tools}.values())
    file = Path(module.__file__ or label)
    try:
        arguments = _options(factory, label, config.options, Path(config.folder))
        made = _made(factory, arguments, label)
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        raise _failure(file, error) from error
    if not isinstance(made, list | tuple) or not all(isinstance(tool, Tool) for tool in made):
        line = factory.__code__.co_firstlineno
        raise PluginError(f"{file}:{line}: plugin() must return a list of tools", param=label)
    return list(made)


def _made(factory: Any, arguments: tuple[Any, ...], label: str) -> Any:
    try:
        return factory(*arguments)
    except ConfigError as error:
        raise ConfigError(f"plugin {label}: {error.message}", param=error.param or label) from error


def _options(factory: Any, label: str, options: dict[str, Any], folder: Path) -> tuple[Any, ...]:
    """The arguments of `plugin`: none, or the options in the struct that its parameter names.

    Options of type `pathlib.Path` count from `folder`, where the configuration is; `~` is the home folder.
    """
    parameters = list(inspect.signature(factory).parameters)
    if not parameters:
        if options:
            raise ConfigError(f"plugin {label}: takes no options, got {', '.join(options)}", param=label)
        return ()
    kind = typing.get_type_hints(factory).get(parameters[0])
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        raise TypeError(f"plugin({parameters[0]}): annotate the parameter with a msgspec.Struct")
    unknown = sorted(options.keys() - set(kind.__struct_encode_fields__))
    if unknown:
        known = ", ".join(kind.__struct_encode_fields__)
        raise ConfigError(f"plugin {label}: options.{unknown[0]}: no such option; known: {known}", param=label)
    try:
        return (msgspec.convert(options, kind, dec_hook=lambda kind, value: _path(folder, kind, value)),)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        raise ConfigError(f"plugin {label}: options{where.rstrip('`')}: {reason}", param=label) from error


def _path(folder: Path, kind: type, value: object) -> Path:
    if kind is not Path or not isinstance(value, str):
        raise ValueError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")
    return folder / Path(value).expanduser()


def _failure(file: Path, error: BaseException) -> PluginError:
    """One line for whatever a plugin raised, at the innermost line of the plugin's own code."""
    if isinstance(error, PluginError):
        return error
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno or 0}"
    else:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if file.parent in Path(frame.filename).parents and file.is_absolute()]
        place = f"{own[-1].filename}:{own[-1].lineno}" if own else f"{file}:1"
    reason = " ".join(traceback.format_exception_only(error)[-1].split())
    return PluginError(f"{place}: {reason}", param=str(file))
