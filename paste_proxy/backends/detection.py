"""What a backend is, by its own answers: its kind, and the parsers that it runs."""

import logging

import msgspec

from paste_proxy.backends import vllm
from paste_proxy.backends.adapters import BY_KIND, OPENAI, SGLANG, VLLM, Backend
from paste_proxy.backends.asking import Asker
from paste_proxy.backends.text import ModelInfo
from paste_proxy.config import BackendConfig

log = logging.getLogger(__name__)

MODEL_INFO_PATHS = ("/model_info", "/get_model_info")
"""SGLang's own; the second is the name it had until 0.5.x, deprecated and still answered."""
SCRIPTED = "paste-proxy-scripted-engine"
"""The lab's engine names itself so in place of a model: SGLang's wire format, and no flag of its server."""
MODELS_PATH = "/v1/models"
API_PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/completions", "/generate")
"""An LLM server that lists no models answers one of them."""
NO_SUCH_PATH = frozenset({404, 405, 501})
"""Answers of web servers to a POST that they know nothing of."""


class _Tokens(msgspec.Struct):
    content: list[msgspec.Raw] | None = None


class _Choice(msgspec.Struct):
    logprobs: _Tokens | None = None


class _Told(msgspec.Struct):
    choices: list[_Choice] = []


class _Model(msgspec.Struct):
    id: str = ""
    owned_by: str = ""


class _Models(msgspec.Struct):
    data: list[_Model] = []


class Found(msgspec.Struct, frozen=True):
    """What is known of a backend; `info` is None where it says nothing of its parsers."""

    backend: Backend
    info: ModelInfo | None = None
    how: str = "as configured"
    """What told the kind."""
    no_llm: str = ""
    """What it answers, and no LLM server would."""

    @property
    def scripted(self) -> bool:
        return self.info is not None and self.info.model_path == SCRIPTED


async def detect_backend(asker: Asker, config: BackendConfig) -> Found | None:
    """The backend's kind, as configured, else as it answers, and its parsers; None while it does not answer."""
    configured = BY_KIND.get(config.kind)
    if configured is not None and not configured.says_parsers:
        return Found(configured)
    how = "as configured" if configured else "by its own answers"
    for path in MODEL_INFO_PATHS:
        answer = await asker.get(path)
        if answer.down:
            return None
        if answer.status == 200 and (info := _model_info(answer.body)) is not None:
            return Found(configured or SGLANG, info, how if configured else f"by {path}")
        if answer.wants_key:
            _wants_a_key(config, path)
            break
    return Found(configured, how=how) if configured is not None else await _vllm_or_openai(asker)


async def _vllm_or_openai(asker: Asker) -> Found:
    """vLLM's `/version` is no name that others could not use: its metrics and models say whose it is."""
    version = await asker.get("/version")
    if version.status == 200 and vllm.read_version(version.body):
        if vllm.is_vllm((await asker.get("/metrics")).body):
            return Found(VLLM, how="by /version and /metrics")
        if any(model.owned_by == "vllm" for model in _models((await asker.get(MODELS_PATH)).body)):
            return Found(VLLM, how=f"by /version and {MODELS_PATH}")
    return Found(OPENAI, how="it is neither SGLang nor vLLM by its answers", no_llm=await why_no_llm(asker))


async def served_models(asker: Asker) -> tuple[str, ...]:
    """The names under which it serves models, as far as it says."""
    answer = await asker.get(MODELS_PATH)
    return tuple(model.id for model in _models(answer.body) if model.id) if answer.status == 200 else ()


async def why_no_llm(asker: Asker) -> str:
    """What it answers where an LLM server would answer otherwise; empty where it may well be one.

    It lists no models, and of each path of the APIs it says that there is none, or shows a page.
    """
    models = await asker.get(MODELS_PATH)
    if models.down or models.wants_key or (models.status == 200 and _is_object(models.body)):
        return ""
    answers = [models]
    for path in API_PATHS:
        answer = await asker.post(path, {})
        if not answer.status:
            return ""  # it may be at work on what was to be no request
        if answer.status not in NO_SUCH_PATH and (answer.status >= 400 or _is_object(answer.body)):
            return ""  # it is down, asks for a key, or says what a request lacks
        answers.append(answer)
    told = (f"{path} {one.status}" for path, one in zip((MODELS_PATH, *API_PATHS), answers, strict=True))
    return f"it answers {', '.join(told)}"


async def why_no_tokens(asker: Asker, model: str = "default") -> str:
    """Why a reply tells no tokens though it is asked to; empty where it does, or where only replies will show.

    Asks for a reply of one token. Some engines refuse (SGLang with UNO speculative decoding), and would refuse
    every request of a client to which the wish for log probabilities was added.
    """
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "."}],
        "max_tokens": 1,
        "logprobs": True,
    }
    answer = await asker.post("/v1/chat/completions", body)
    if answer.down or answer.wants_key or answer.status == 404:
        return ""  # it wants a key, or another model's name, or is down
    if answer.status != 200:
        return f"the backend answers {answer.status} where log probabilities are asked for"
    return "" if _has_tokens(answer.body) else "log probabilities were asked for, and none came"


def _wants_a_key(config: BackendConfig, path: str) -> None:
    if config.kind == "auto":
        advice = "served as plain openai; set backend.key, or backend.kind if it is SGLang"
    else:
        advice = "what parsers it runs is not known; see backend.key and backend.tool_format"
    log.warning("%s wants a key for %s: %s", config.url, path, advice)


def _has_tokens(body: bytes) -> bool:
    try:
        choices = msgspec.json.decode(body, type=_Told).choices
    except msgspec.DecodeError:
        return False
    return any(choice.logprobs is not None and choice.logprobs.content for choice in choices)


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False


def _models(body: bytes) -> list[_Model]:
    try:
        return msgspec.json.decode(body, type=_Models).data
    except (msgspec.DecodeError, ValueError):
        return []


def _model_info(body: bytes) -> ModelInfo | None:
    try:
        return msgspec.json.decode(body, type=ModelInfo)
    except (msgspec.DecodeError, ValueError):
        return None
