"""Which kind a backend is found to be."""

from typing import Any

import pytest

from paste_proxy.backends import OPENAI, SGLANG, VLLM, Backend, Found, detect_backend
from paste_proxy.backends.detection import served_models
from paste_proxy.config import BackendConfig
from tests.backends.conftest import Answers, Play
from tests.backends.recorded import SGLANG_METRICS, VLLM_METRICS, VLLM_MODELS

VERSION = {"version": "0.32.0"}


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ({"/version": VERSION, "/metrics": VLLM_METRICS}, VLLM),
        ({"/version": VERSION, "/v1/models": VLLM_MODELS}, VLLM),
        ({"/version": VERSION, "/metrics": SGLANG_METRICS}, OPENAI),
        ({"/version": VERSION}, OPENAI),
        ({"/version": {"version": 3}, "/metrics": VLLM_METRICS}, OPENAI),
        ({"/version": "<html>", "/metrics": VLLM_METRICS}, OPENAI),
        ({"/metrics": VLLM_METRICS}, OPENAI),
        ({"/model_info": {"model_path": "m"}, "/version": VERSION, "/metrics": VLLM_METRICS}, SGLANG),
        ({"/model_info": "\x00\xff", "/version": {"a": [[[]]]}}, OPENAI),
    ],
)
async def test_the_kind(answers: Answers, kind: Backend, play: Play) -> None:
    async with play(answers) as backend:
        found = await detect_backend(backend.asker, BackendConfig(url=backend.url))
        assert found is not None
        assert found.backend == kind


async def test_a_vllm_by_configuration_is_asked_nothing(play: Play) -> None:
    async with play({}) as backend:
        found = await detect_backend(backend.asker, BackendConfig(url=backend.url, kind="vllm"))
        assert (found, backend.asked) == (Found(VLLM), [])


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (VLLM_MODELS, ("tiny",)),
        ({"data": [{"id": "a"}, {"id": "b"}, {}]}, ("a", "b")),
        ({"data": [{"id": 1}]}, ()),
        ("<html>", ()),
        (500, ()),
    ],
)
async def test_the_models(answer: Any, names: tuple[str, ...], play: Play) -> None:
    async with play({"/v1/models": answer}) as backend:
        assert await served_models(backend.asker) == names
