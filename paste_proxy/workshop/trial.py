"""One call as the proxy would run it: ahead of the model, and asked for. Are both results the same?

What runs ahead in a tool's place (effects `warm`, `dry_run`) has no result to compare; a tool that is declared
with no effect is run once, as asked for: it may change something.
"""

import asyncio
import time

import msgspec

from paste_proxy.errors import ToolTimeoutError, UnknownToolError
from paste_proxy.tools.arguments import decode_arguments
from paste_proxy.tools.loading import Registry
from paste_proxy.tools.local import LocalExecutor
from paste_proxy.tools.ports import Output, Run, RunClass, RunContext
from paste_proxy.tools.spec import Effect, ToolSpec

CONTEXT = RunContext(tenant="default", session="plugins-run")


class Ran(msgspec.Struct, frozen=True):
    how: str
    """`ahead` or `asked for`."""
    start_ms: float
    """Until its function began: of a process, of a warm-up."""
    run_ms: float
    bytes: int


class Trial(msgspec.Struct, frozen=True):
    tool: str
    runs: tuple[Ran, ...]
    same: bool | None
    """None: it was run once, or what ran ahead was not the tool itself."""
    result: str
    """Of the run that was asked for."""
    other: str = ""
    """Of the run ahead, where it differs."""


async def try_call(registry: Registry, tool: str, arguments: bytes) -> Trial:
    """Raises what the tool raises, as the proxy tells it, and `UnknownToolError`, `InvalidArgumentsError`."""
    if tool not in registry:
        raise UnknownToolError(f"there is no tool {tool!r}; known: {', '.join(sorted(registry))}", param=tool)
    spec = registry[tool].spec
    decoded = decode_arguments(spec, arguments)
    classes = (RunClass.SPECULATIVE, RunClass.AUTHORITATIVE)
    executor = LocalExecutor(registry, workers=1)
    try:
        runs: list[Ran] = []
        outputs: list[Output] = []
        for run_class in classes if spec.effect is not Effect.NEVER else classes[1:]:
            run = Run(f"try-{run_class.name}", tool, decoded, CONTEXT, run_class)
            ran, output = await _timed(executor, run, spec)
            runs.append(ran)
            outputs.append(output)
    finally:
        await executor.close()
    same = outputs[0] == outputs[-1] if spec.effect is Effect.READ else None
    text = [output.body.decode(errors="replace") for output in outputs]
    return Trial(tool, tuple(runs), same, text[-1], text[0] if same is False else "")


async def _timed(executor: LocalExecutor, run: Run, spec: ToolSpec) -> tuple[Ran, Output]:
    """The time limit is the core's, which is not here."""
    asked = time.perf_counter()
    began = asked

    def begin() -> None:
        nonlocal began
        began = time.perf_counter()

    try:
        async with asyncio.timeout(spec.timeout):
            output = await executor.run(run, begin)
    except TimeoutError as error:
        raise ToolTimeoutError(
            f"{run.tool}: no result within {spec.timeout:g} s, the tool's timeout", param=run.tool
        ) from error
    how = "asked for" if run.run_class is RunClass.AUTHORITATIVE else "ahead"
    ended = time.perf_counter()
    return Ran(how, _ms(began - asked), _ms(ended - began), len(output.body)), output


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
