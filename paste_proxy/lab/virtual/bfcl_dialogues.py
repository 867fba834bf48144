"""BFCL's multi-turn dialogues (PyPI `bfcl-eval`): what is asked, the calls that answer it, and the classes that
these calls are made for, which really run.
"""

import ast
import copy
import importlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from importlib.util import find_spec
from typing import Any

import msgspec
import yaml

from paste_proxy.errors import ConfigError, ToolError

PACKAGE = "bfcl_eval"
_CLASSES = f"{PACKAGE}.eval_checker.multi_turn_eval.func_source_code"
_DATA = "BFCL_v4_multi_turn_base.json"


class Classes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """bfcl.yaml."""

    modules: Mapping[str, str]
    reads: Mapping[str, frozenset[str]]


class GroundCall(msgspec.Struct, frozen=True):
    tool: str
    arguments: dict[str, Any]


class Dialogue(msgspec.Struct, frozen=True):
    """What a user says, and after each of it the calls that are right."""

    name: str
    classes: tuple[str, ...]
    scenario: dict[str, Any]
    questions: tuple[str, ...]
    calls: tuple[tuple[GroundCall, ...], ...]


class Instances:
    """The objects of one dialogue, in the state that its calls have left them in."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._methods: dict[str, Callable[..., Any]] = {}
        for name in dialogue.classes:
            instance = class_of(name)()
            instance._load_scenario(copy.deepcopy(dialogue.scenario.get(name, {})))
            self._methods |= {method: getattr(instance, method) for method in methods_of(name)}

    def run(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """The result's text. Raises `ToolError` where the method does."""
        try:
            result = self._methods[tool](**arguments)
        except Exception as error:  # boundary: what a method raises is its answer, whatever it is
            raise ToolError(f"{tool}: {error}", param=tool) from error
        return result if isinstance(result, str) else json.dumps(result, default=str)


def load_classes() -> Classes:
    text = resources.files("paste_proxy.lab").joinpath("bfcl.yaml").read_text(encoding="utf-8")
    return msgspec.convert(yaml.safe_load(text), Classes)


@cache
def class_of(name: str) -> Any:
    return getattr(importlib.import_module(f"{_CLASSES}.{load_classes().modules[name]}"), name)


@cache
def methods_of(name: str) -> tuple[str, ...]:
    """The tools of a class, in a fixed order."""
    members = inspect.getmembers(class_of(name), inspect.isfunction)
    return tuple(method for method, _ in members if not method.startswith("_"))


def load_dialogues() -> list[Dialogue]:
    """Those whose classes are all known. Raises `ConfigError` where the package is not installed."""
    if find_spec(PACKAGE) is None:
        raise ConfigError(
            "the workload bfcl needs the package bfcl-eval: pip install --no-deps bfcl-eval", param="workload"
        )
    known = load_classes().modules.keys()
    answers = {one["id"]: one["ground_truth"] for one in _lines("possible_answer", _DATA)}
    return [
        _dialogue(one, answers[one["id"]]) for one in _lines(_DATA) if known >= set(one["involved_classes"])
    ]


def _lines(*path: str) -> Iterator[dict[str, Any]]:
    text = resources.files(PACKAGE).joinpath("data", *path).read_text(encoding="utf-8")
    return map(msgspec.json.decode, text.splitlines())


def _dialogue(data: dict[str, Any], answer: list[list[str]]) -> Dialogue:
    classes = tuple(data["involved_classes"])
    return Dialogue(
        name=data["id"],
        classes=classes,
        scenario=data["initial_config"],
        questions=tuple("\n".join(said["content"] for said in turn) for turn in data["question"]),
        calls=tuple(tuple(_parsed(call, classes) for call in turn) for turn in answer),
    )


def _parsed(text: str, classes: tuple[str, ...]) -> GroundCall:
    """Calls are written in Python; arguments without a name get that of the method."""
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    assert isinstance(call.func, ast.Name)
    tool = call.func.id
    places = [ast.literal_eval(value) for value in call.args]
    named = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
    owner = next(name for name in classes if tool in methods_of(name))
    signature = inspect.signature(getattr(class_of(owner), tool))
    arguments = signature.bind(None, *places, **named).arguments
    del arguments["self"]
    return GroundCall(tool, json.loads(json.dumps(arguments)))
