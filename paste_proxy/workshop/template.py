"""What `paste-proxy plugins new` writes: a plugin that works, and says at each place what belongs there."""

TEMPLATE = '''"""@@: say here what its tools are about.

To serve it, the proxy's configuration says:

    plugins:
      - path: @@.py
    speculation:
      allow: [@@_find]

`paste-proxy plugins check @@.py` tells what the proxy makes of it, `paste-proxy plugins run @@.py @@_find
'{"word": "tea"}'` runs a call, and `pytest @@.py` runs the test at its end. docs/plugins.md explains all keys.
"""

from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from paste_proxy.tools import Effect, ToolError, tool

# What the tools read and write. A file, not a variable: what runs ahead of the model runs in other processes.
ENTRIES = Path(__file__).with_suffix(".txt")


# The docstring and the annotations are what the model is told.
# effect=READ: running it once more, or for nothing, changes nothing that anybody could see.
# reads: the name of what it looks at. A call that writes "@@" makes what was read ahead void.
# max_age: no result is older than this when the model gets it, whoever may have changed the file.
@tool(effect=Effect.READ, reads={"@@"}, max_age=30, timeout=10)
def @@_find(
    word: Annotated[str, Meta(description="Part of an entry", min_length=1)],
    limit: Annotated[int, Meta(description="Entries at most", ge=1, le=100)] = 10,
) -> list[str]:
    """Find entries by a word."""
    if not ENTRIES.exists():
        return []
    lines = ENTRIES.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if word in line][:limit]


# No effect is declared, so it never runs before the model has asked for it.
@tool(writes={"@@"}, timeout=10)
def @@_add(entry: Annotated[str, Meta(description="One line of text")]) -> str:
    """Add an entry."""
    if not entry.strip() or len(entry.splitlines()) != 1:
        # What a ToolError says goes to the model: say what to do.
        raise ToolError("an entry is one line of text; add several one by one")
    with ENTRIES.open("a", encoding="utf-8") as file:
        file.write(entry + "\\n")
    return f"added {entry!r}"


# A tool is still its function, so it is tested like one.
def test_what_was_added_is_found(tmp_path: Path, monkeypatch: Any) -> None:
    import pytest  # here, since where the proxy runs there may be none

    monkeypatch.setitem(globals(), "ENTRIES", tmp_path / "entries.txt")
    assert @@_find("tea") == []
    @@_add("green tea")
    assert @@_find("tea") == ["green tea"]
    with pytest.raises(ToolError, match="one line"):
        @@_add("a\\nb")
'''


def written(name: str) -> str:
    return TEMPLATE.replace("@@", name)
