"""A plugin that misbehaves in every way that tools do; loaded by path in the tests."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

from paste_proxy.tools import Effect, RunContext, ToolError, tool
from paste_proxy.tools.wire import NONCE_BYTES, VALUE, frame


@tool(effect=Effect.READ)
def whoami() -> dict[str, int]:
    """Say which process runs this, and with which priority."""
    return {"pid": os.getpid(), "nice": os.getpriority(os.PRIO_PROCESS, 0), "policy": os.sched_getscheduler(0)}


@tool(effect=Effect.READ)
async def whoami_async() -> int:
    return os.getpid()


@tool(effect=Effect.READ, isolated=True)
def whoami_isolated() -> dict[str, int]:
    return {"pid": os.getpid(), "nice": os.getpriority(os.PRIO_PROCESS, 0)}


@tool(effect=Effect.READ)
def echo(context: RunContext, value: Any, twice: bool = False) -> Any:
    return [context.tenant, context.session, value] * (2 if twice else 1)


@tool(effect=Effect.READ)
def touch_and_wait(path: str, seconds: float) -> dict[str, int]:
    """Write the process id to a file, wait, and say with which priority it went on."""
    with open(path, "w") as file:  # noqa: PTH123 - short
        file.write(str(os.getpid()))
    time.sleep(seconds)
    return {"nice": os.getpriority(os.PRIO_PROCESS, 0)}


@tool(effect=Effect.READ)
def touch_and_wait_for(path: str, other: str) -> dict[str, int]:
    """Write the process id to a file, wait for another file, and say with which priority it went on."""
    with open(path, "w") as file:  # noqa: PTH123 - short
        file.write(str(os.getpid()))
    while not os.path.exists(other):  # noqa: PTH110 - short
        time.sleep(0.005)
    return {"nice": os.getpriority(os.PRIO_PROCESS, 0)}


@tool(effect=Effect.READ)
def start_child_and_wait(path: str) -> None:
    child = subprocess.Popen(["sleep", "60"])
    with open(path, "w") as file:  # noqa: PTH123 - short
        file.write(str(child.pid))
    time.sleep(60)


@tool(effect=Effect.READ, isolated=True)
def backtrack(path: str) -> None:
    """Hold the interpreter's lock for longer than anybody waits."""
    with open(path, "w") as file:  # noqa: PTH123 - short
        file.write(str(os.getpid()))
    re.match("(a+)+$", "a" * 60 + "b")


@tool(effect=Effect.READ, result_limit=1000)
def misbehave(how: str) -> Any:
    ways: dict[str, Callable[[], Any]] = {
        "says": lambda: _raise(ToolError("no such thing")),
        "exits": lambda: _raise(SystemExit(3)),
        "interrupts": lambda: _raise(KeyboardInterrupt()),
        "stops": lambda: _raise(StopIteration("x")),
        "fails": lambda: 1 / 0,
        "unprintable": lambda: _raise(UnprintableError()),
        "huge": lambda: "x" * 1001,
        "unserialisable": object,
        "surrogate": lambda: "\ud800",
        "prints": lambda: print("to whom it may concern"),
        "set": lambda: {"b", "a", "c"},
    }
    return ways[how]()


@tool(effect=Effect.READ, isolated=True)
def die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@tool(effect=Effect.READ)
def fork() -> str:
    """Return twice, first in a child."""
    if os.fork() == 0:
        return "child"
    time.sleep(0.05)
    return "parent"


@tool(effect=Effect.READ)
def babble(delay: float) -> int:
    """Write into the proxy's pipe what looks like a reply: at once, or after the real one."""
    if delay:
        threading.Timer(delay, _forge_reply).start()
    else:
        _forge_reply()
    return os.getpid()


def _forge_reply() -> None:
    for number in range(3, 10):
        with contextlib.suppress(OSError):
            os.write(number, frame(VALUE, bytes(NONCE_BYTES), b'"forged"'))


@tool(effect=Effect.READ)
async def misbehave_async(how: str) -> Any:
    import asyncio

    ways: dict[str, BaseException] = {
        "exits": SystemExit(3),
        "interrupts": KeyboardInterrupt(),
        "cancels": asyncio.CancelledError(),
        "fails": ZeroDivisionError("division by zero"),
    }
    raise ways[how]


@tool(effect=Effect.READ)
async def swallow() -> str:
    """Ignore being cancelled."""
    import asyncio
    import contextlib

    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    return "still here"


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def _raise(error: BaseException) -> NoReturn:
    raise error


def _note_ahead(path: str) -> str:
    with open(path, "a") as file:  # noqa: PTH123 - short
        file.write(f"ahead {os.getpid()};")
    return "nobody's"


@tool(effect=Effect.WARM, ahead=_note_ahead)
def note(path: str) -> str:
    with open(path, "a") as file:  # noqa: PTH123 - short
        file.write(f"run {os.getpid()};")
    return "done"


def _refuse(item: str) -> NoReturn:
    raise ToolError(f"there is no {item}")


@tool(effect=Effect.DRY_RUN, ahead=_refuse)
def order(item: str) -> str:
    return item
