"""Recorded sessions of a small service, as a file of traces: users who want their second order cancelled."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paste_proxy.lab.virtual.replay import load_replays
from paste_proxy.lab.virtual.sources import RecordedWorkload
from paste_proxy.lab.virtual.trace_world import load_traces

MODEL_S, TOOL_S, USER_S = 3.0, 2.0, 5.0
"""What everything takes, as recorded."""
SESSIONS = 20


class Recording:
    """Messages with times."""

    def __init__(self) -> None:
        self.turns: list[dict[str, Any]] = []
        self._now = 1_700_000_000.0

    def user(self, text: str) -> None:
        self._add(USER_S, role="user", content=text)

    def says(self, text: str, **fields: Any) -> None:
        self._add(MODEL_S, role="assistant", content=text, **fields)

    def calls(self, tool: str, arguments: dict[str, Any], result: Any) -> None:
        call_id = f"c{len(self.turns)}"
        self.says("", tool_calls=[{"id": call_id, "name": tool, "arguments": arguments}])
        self._add(TOOL_S, role="tool", tool_call_id=call_id, content=json.dumps(result))

    def _add(self, seconds: float, **turn: Any) -> None:
        self._now += seconds
        self.turns.append({**turn, "ts": self._now})


def session(number: int) -> dict[str, Any]:
    made, orders = Recording(), [f"W{number:03}{place}" for place in "123"]
    made.turns.append({"role": "system", "content": "Be helpful."})
    made.user(f"I am user_{number:03}. Cancel my second order, please.")
    made.calls("get_user", {"user_id": f"user_{number:03}"}, {"orders": orders})
    made.calls("get_order", {"order_id": orders[0]}, {"id": orders[0], "status": "sent"})
    made.calls("get_order", {"order_id": orders[1]}, {"id": orders[1], "status": "open"})
    made.calls("cancel_order", {"order_id": orders[1]}, {"id": orders[1], "status": "cancelled"})
    made.calls("get_order", {"order_id": orders[1]}, {"id": orders[1], "status": "cancelled"})
    made.says("It is cancelled. Anything else?")
    made.user("No.")
    made.says("Good bye.")
    return recorded(f"session {number}", made.turns)


def recorded(name: str, turns: Sequence[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    shared = {"source": "service", "session_id": name, "model": "m", "task": name, "tools": [], "meta": {}}
    return {**shared, "turns": list(turns), **fields}


def written(folder: Path, sessions: Sequence[dict[str, Any]], name: str = "service.jsonl") -> Path:
    text = "".join(json.dumps(one) + "\n" for one in sessions).encode()
    path = folder / name
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


def workload(folder: Path, sessions: Sequence[dict[str, Any]] = (), *, times: str = "file") -> RecordedWorkload:
    """With the times of a workload of traces.yaml: those of `file` are recorded, those of `assistant` drawn."""
    path = written(folder, sessions or [session(number) for number in range(SESSIONS)])
    replay = load_replays().of[times]
    return load_traces("service", replay, [path], 0)
