"""A worker process: runs sync tools one after another, and can be killed at any moment.

Started as `python -P -m paste_proxy.tools.worker PARENT`. Requests come on stdin, replies go to stdout; what
a tool prints goes to stderr instead. It ends when stdin does, or with the proxy, even in the middle of a run.
"""

import ctypes
import logging
import os
import signal
import sys
from typing import Any, BinaryIO

from paste_proxy.errors import PasteError, ToolError
from paste_proxy.tools.arguments import typed_arguments
from paste_proxy.tools.authoring import Tool
from paste_proxy.tools.invoke import invoke_sync, prepare_sync, warm_up
from paste_proxy.tools.loading import load_plugin, stamp
from paste_proxy.tools.ports import Output
from paste_proxy.tools.wire import (
    HEADER,
    NONCE_BYTES,
    READY,
    Request,
    Source,
    decode_request,
    encode_error,
    encode_output,
    frame,
)

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Workshop:
    """The tools that this process has loaded, each plugin at its first use."""

    def __init__(self) -> None:
        self._tools: dict[str, Tool[..., Any]] = {}
        self._warm: set[str] = set()

    def answer(self, body: bytes) -> tuple[bytes, bytes]:
        """Kind and body of the reply to a request's body; an error is a reply, too."""
        try:
            return encode_output(self._run(decode_request(body)))
        except PasteError as error:
            return encode_error(error)

    def _run(self, request: Request) -> Output:
        tool = self._loaded(request.source, request.tool)
        if request.tool not in self._warm:
            self._warm.add(request.tool)
            warm_up(tool)
        if request.arguments is None:
            return Output(b"null")
        run = prepare_sync if request.prepares else invoke_sync
        return run(tool, request.context, typed_arguments(tool, request.arguments))

    def _loaded(self, source: Source, name: str) -> Tool[..., Any]:
        if name not in self._tools:
            self._tools.update((tool.spec.name, tool) for tool in load_plugin(source.plugin))
        tool = self._tools.get(name)
        if tool is None or stamp(tool) != source.stamp:
            raise ToolError(f"{name}: its plugin was changed since the proxy started; restart the proxy")
        return tool


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests until there are no more. In a child that a tool forked, it does not return."""
    workshop, process = Workshop(), os.getpid()
    while len(header := requests.read(HEADER.size)) == HEADER.size:
        _, nonce, length = HEADER.unpack(header)
        kind, body = workshop.answer(requests.read(length))
        if os.getpid() != process:
            os._exit(0)  # the parent answers, and nothing of the parent's is the child's to close or flush
        replies.write(frame(kind, nonce, body))
        replies.flush()


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s worker %(process)d %(name)s: %(message)s")
    _die_with(int(sys.argv[1]))
    requests, replies = _private_pipes()
    with requests, replies:
        replies.write(frame(READY, bytes(NONCE_BYTES), b""))
        replies.flush()
        serve(requests, replies)


def _die_with(parent: int) -> None:
    """A hung tool never sees the end of stdin; the kernel sees the end of the proxy."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the proxy is gone")


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipes to the proxy out of the tools' reach: nothing to read on stdin, prints go to stderr."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, replies


if __name__ == "__main__":
    main()
