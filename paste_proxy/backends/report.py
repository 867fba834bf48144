"""What a backend can do, for who runs it: each ability, how it was found, and what to change to have it."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from paste_proxy.backends.abilities import Abilities, find_abilities
from paste_proxy.backends.adapters import OPENAI
from paste_proxy.backends.asking import Asker
from paste_proxy.backends.detection import (
    MODELS_PATH,
    Found,
    detect_backend,
    served_models,
    why_no_llm,
    why_no_tokens,
)
from paste_proxy.backends.text import ReplyText
from paste_proxy.config import BackendConfig

NO_LOAD = {
    "sglang": "start SGLang with --enable-metrics, or take one that has /v1/loads",
    "vllm": "let paste-proxy read /metrics: vLLM serves it unless --disable-log-stats is given",
    "openai": "this proxy's own turns are all that counts: use SGLang or vLLM for more",
}
NO_CACHE_REPORT = {
    "sglang": "start SGLang with --enable-cache-report",
    "vllm": "vLLM reports it with --enable-prompt-tokens-details",
    "openai": "replies will show whether `usage.prompt_tokens_details.cached_tokens` is there",
}
NO_ABORT = {
    "vllm": "start vLLM with --enable-scale-out; without, a closed connection ends a request",
    "openai": "a closed connection is what ends a request, if the server notices",
}

SCRIPTED_KIND = {
    "kind": "its wire format: this is the lab's scripted engine, without a model and without flags"
}


class Row(msgspec.Struct, frozen=True):
    """One ability."""

    ability: str
    state: Literal["yes", "no", "unknown"]
    what: str = ""
    how: str = ""
    """Where that was found."""
    advice: str = ""
    """What to change, where it is not there."""

    def __str__(self) -> str:
        what = f", {self.what}" if self.what else ""
        how = f" ({self.how})" if self.how else ""
        advice = f" - {self.advice}" if self.advice else ""
        return f"{self.ability}: {self.state}{what}{how}{advice}"


class Report(msgspec.Struct, frozen=True):
    """Of one backend."""

    name: str
    """In `backends`; empty: it is the only one."""
    url: str
    usable: bool
    abilities: tuple[Row, ...]


async def examine(name: str, asker: Asker, config: BackendConfig) -> Report:
    """Asks one backend for all that it can do; for one token, too, where that shows something. Raises
    `ConfigError` where a format is configured that is not known."""
    answer = await asker.get(MODELS_PATH)
    if answer.status == 0:
        advice = f"{answer.why}; start it, or correct the url"
        return Report(name, config.url, usable=False, abilities=(Row("reachable", "no", advice=advice),))
    found = await detect_backend(asker, config) if answer.status < 500 else None
    if found is None:
        advice = "it is loading, or broken: try again, or look into its log"
        row = Row("reachable", "no", f"it answers {answer.status}", f"GET {MODELS_PATH}", advice)
        return Report(name, config.url, usable=False, abilities=(row,))
    vouched = config.kind == OPENAI.name  # so that nobody has asked yet
    if no_llm := found.no_llm or (vouched and await why_no_llm(asker)):
        advice = "no LLM server is there: correct the url, which is the server's base address, without /v1"
        row = Row("llm_server", "no", no_llm, "GET and POST", advice)
        return Report(name, config.url, usable=False, abilities=(row,))
    models = await served_models(asker)
    abilities = await find_abilities(asker, found.backend, config)
    key = "set backend.key" if answer.wants_key or abilities.wants_key else ""
    rows = [
        Row("reachable", "yes", f"it answers {answer.status}", f"GET {MODELS_PATH}", key),
        *_identity(found, abilities, models),
        *_load(found, abilities),
        _priority(abilities),
        *_rest(found, abilities, config),
        await _raw_tap(found, asker, config, models),
    ]
    if found.scripted:
        rows = [msgspec.structs.replace(row, advice=SCRIPTED_KIND.get(row.ability, "")) for row in rows]
    return Report(name, config.url, usable=True, abilities=tuple(rows))


def _identity(found: Found, abilities: Abilities, models: tuple[str, ...]) -> Iterator[Row]:
    version = f" {abilities.info.version}" if abilities.info.version else ""
    yield Row("kind", "yes", found.backend.name + version, found.how)
    if models:
        yield Row("models", "yes", " ".join(models), MODELS_PATH)
    else:
        advice = "it lists none: clients must know the model's name"
        yield Row("models", "unknown", "", MODELS_PATH, advice)
    if found.info is None:
        advice = "set backend.tool_format if agents read calls out of the text"
        yield Row("parsers", "unknown", "", "it does not say", advice)
        return
    tools, reasoning = found.info.tool_call_parser, found.info.reasoning_parser
    what = f"tool calls {tools or 'none'}, reasoning {reasoning or 'none'}"
    advice = "" if tools else "start SGLang with --tool-call-parser NAME, or set backend.parse: proxy"
    yield Row("parsers", "yes" if tools else "no", what, "/model_info", advice)


def _load(found: Found, abilities: Abilities) -> Iterator[Row]:
    kind, source, reading = found.backend.name, abilities.source, abilities.reading
    if source is None or reading is None:
        yield Row("load", "no", advice=NO_LOAD[kind])
    else:
        load = reading.load
        what = f"{load.running} running, {load.waiting} waiting, {load.used_tokens} tokens"
        yield Row("load", "yes", what, source.path)
    capacity = abilities.capacity
    if not capacity.kv_tokens:
        yield Row("kv_capacity", "unknown", advice=NO_LOAD[kind] if source is None else "")
        return
    at_once = f", {capacity.running} requests at once" if capacity.running else ""
    path = source.path if source is not None and reading is not None and reading.kv_tokens else ""
    yield Row("kv_capacity", "yes", f"{capacity.kv_tokens} tokens{at_once}", path or abilities.info_path)


def _priority(abilities: Abilities) -> Row:
    band, path = abilities.band, abilities.info_path
    if band is None:
        return Row("priority", "no", "", path, abilities.why_no_band)
    what = f"{band.latest} (latest) to {band.soonest} (soonest)"
    return Row("priority", "yes", what, path or "backend.priority: on")


def _rest(found: Found, abilities: Abilities, config: BackendConfig) -> Iterator[Row]:
    kind, info, path = found.backend, abilities.info, abilities.info_path
    if info.cache_report is None:
        yield Row("cache_report", "unknown", "", "it does not say", NO_CACHE_REPORT[kind.name])
    else:
        advice = "" if info.cache_report else NO_CACHE_REPORT[kind.name]
        yield Row("cache_report", "yes" if info.cache_report else "no", "", path, advice)
    if abort := abilities.abort_path:
        yield Row("abort", "yes", abort, "asked to end nothing" if kind.abort_if_there else "by its kind")
    else:
        yield Row("abort", "no", advice=NO_ABORT[kind.name])
    if abilities.session_radix:
        yield Row("session_radix_cache", "yes", "session_id and /close_session", path)
    elif info.session_radix and config.session_radix == "off":
        yield Row("session_radix_cache", "no", "the engine has it", path, "set backend.session_radix: auto")
    elif kind.session_end_path:
        advice = "start SGLang with --enable-session-radix-cache"
        yield Row("session_radix_cache", "no", "", path, advice)
    else:
        yield Row("session_radix_cache", "no", advice="SGLang has one")


async def _raw_tap(found: Found, asker: Asker, config: BackendConfig, models: tuple[str, ...]) -> Row:
    text = ReplyText(config)
    text.found(found.backend, found.info)
    if why := text.why_not_tapped():
        return Row("raw_tap", "no", advice=why)
    if why := await why_no_tokens(asker, models[0] if models else "default"):
        return Row("raw_tap", "no", "", "a reply of one token", why)
    if config.raw_tap == "off":
        advice = "set backend.raw_tap: logprobs to see calls before the engine's parser tells them"
        return Row("raw_tap", "no", "possible", "a reply of one token", advice)
    return Row("raw_tap", "yes", "", "a reply of one token")
