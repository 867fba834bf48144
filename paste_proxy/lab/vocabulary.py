"""Words and names that the scripted model writes with (words.yaml)."""

from importlib import resources

import msgspec
import yaml


class Vocabulary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    system_prompt: str
    modules: tuple[str, ...]
    """What queries ask about, and what a page outside the results documents."""
    files: tuple[str, ...]
    """Sources of the standard library, by their paths in it: other pages that no search names."""
    subjects: tuple[str, ...]
    """The other words of queries."""
    prose: tuple[str, ...]
    """Filler of the visible text."""


def load_vocabulary() -> Vocabulary:
    text = resources.files("paste_proxy.lab").joinpath("words.yaml").read_text(encoding="utf-8")
    data: dict[str, str] = yaml.safe_load(text)
    words = {name: tuple(data[name].split()) for name in ("modules", "files", "subjects", "prose")}
    return Vocabulary(system_prompt=data["system_prompt"], **words)
