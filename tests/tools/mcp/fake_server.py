"""An MCP server over stdio with all the vices that a test needs. A program of its own, of nothing but Python.

Tools do what their names say. `FAKE_TOOLS`: which it lists, by name and annotations, as JSON; else all.
"""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

calls: list[Any] = []
"""Ids of the calls without an answer."""
count = 0
grown: list[str] = []
SCHEMA = {"type": "object", "properties": {"text": {"type": "string", "default": "nothing"}}}
NAMES = (
    *("echo", "count", "rich", "fail", "refuse", "hang", "progress", "ask", "die", "print", "malformed"),
    *("huge", "twice", "grow", "shapeless", "pid", "environment", "pair", "nothing", "leave"),
)
PAGE = 7


def say(message: dict[str, Any]) -> None:
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def text(value: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": value}]}


def listed() -> list[dict[str, Any]]:
    chosen = json.loads(os.environ.get("FAKE_TOOLS", "null")) or dict.fromkeys(NAMES)
    tools = [
        {"name": name, "description": f"Does {name}.", "inputSchema": SCHEMA, "annotations": notes}
        if notes
        else {"name": name, "description": f"Does {name}.", "inputSchema": SCHEMA}
        for name, notes in (*chosen.items(), *((name, None) for name in grown))
    ]
    return [*tools, {"name": "no tool"}]


def page(cursor: str | None) -> dict[str, Any]:
    begin = int(cursor or 0)
    tools = listed()
    more = {"nextCursor": str(begin + PAGE)} if len(tools) > begin + PAGE else {}
    return {"tools": tools[begin : begin + PAGE], **more}


def call(number: Any, params: dict[str, Any]) -> None:  # noqa: C901 - a table of vices
    global count
    name, arguments = params["name"], params.get("arguments", {})
    token = params.get("_meta", {}).get("progressToken")
    answer: dict[str, Any] | None = text(json.dumps(arguments, sort_keys=True))
    match name:
        case "count":
            count += 1
            answer = text(str(count))
        case "rich":
            image = {"type": "image", "data": "aGk=", "mimeType": "image/png"}
            link = {"type": "resource_link", "uri": "file:///a", "name": "a", "annotations": {"priority": 0.5}}
            answer = {
                "content": [{"type": "text", "text": "see"}, image, link],
                "structuredContent": {"n": None, "big": 12345678901234567890, "f": 1.0},
                "_meta": {"theirs": 1},
            }
        case "pair":
            answer = {"content": [*text("one")["content"], *text("two")["content"]]}
        case "nothing":
            answer = {"content": []}
        case "fail":
            answer = {**text("no such page"), "isError": True}
        case "refuse":
            say({"id": number, "error": {"code": -32602, "message": "text: too short"}})
            return
        case "hang":
            answer = None
        case "progress":
            for done in (1, 2):
                params = {"progressToken": token, "progress": done, "total": 2, "message": f"step {done}"}
                say({"method": "notifications/progress", "params": params})
                time.sleep(0.05)
        case "ask":
            calls.append(number)
            say({"id": "ask-1", "method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}})
            return
        case "die":
            print("the disk is on fire", file=sys.stderr, flush=True)
            sys.exit(3)
        case "print":
            print("loading the model ...", flush=True)
        case "malformed":
            print('{"jsonrpc": "2.0", "id": ', flush=True)
        case "huge":
            answer = text("x" * int(arguments["text"]))
        case "twice":
            say({"id": number, "result": text("first")})
            answer = text("second")
        case "grow":
            grown.append("grown")
            say({"method": "notifications/tools/list_changed"})
        case "shapeless":
            answer = {"content": "text"}
        case "pid":
            answer = text(str(os.getpid()))
        case "leave":
            left = subprocess.Popen(["sleep", "60"], start_new_session=True)
            answer = text(str(left.pid))
        case "environment":
            answer = text(json.dumps(dict(os.environ)))
    if answer is not None:
        say({"id": number, "result": answer})


def main() -> None:
    if "STUBBORN" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in sys.stdin:
        message = json.loads(line)
        number, method = message.get("id"), message.get("method")
        if method == "initialize":
            version = message["params"]["protocolVersion"]
            info = {"name": "fake", "version": "1"}
            capabilities = {"tools": {"listChanged": True}}
            result = {"protocolVersion": version, "capabilities": capabilities, "serverInfo": info}
            say({"id": number, "result": result})
        elif method == "tools/list":
            say({"id": number, "result": page((message.get("params") or {}).get("cursor"))})
        elif method == "tools/call":
            call(number, message["params"])
        elif method == "notifications/cancelled":
            print(f"cancelled: {message['params']['requestId']}", file=sys.stderr, flush=True)
        elif number == "ask-1":
            say({"id": calls.pop(), "result": text(json.dumps(message.get("error")))})
    while "STUBBORN" in os.environ:
        time.sleep(1)


if __name__ == "__main__":
    main()
