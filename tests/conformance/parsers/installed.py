"""Where the peers are installed, and what they say of every text."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from paste_proxy.lab.sglang_server import INSTALL_COMMAND as INSTALL_SGLANG
from paste_proxy.lab.sglang_server import find_install, venv_folder
from tests.conformance.install_vllm_parsers import INSTALL_COMMAND as INSTALL_VLLM
from tests.conformance.install_vllm_parsers import find_vllm, vllm_folder
from tests.conformance.parsers.corpus import Case
from tests.conformance.parsers.outcomes import Answers, ask


class NotInstalledError(Exception):
    """Says what is missing, and how to install it."""


def pythons() -> dict[str, Path]:
    """The Python of each peer's environment. Raises `NotInstalledError`."""
    sglang, vllm = find_install(), find_vllm()
    if sglang is None:
        raise NotInstalledError(f"no SGLang in {venv_folder()}; to install it: {INSTALL_SGLANG}")
    if vllm is None:
        raise NotInstalledError(f"no parsers of vLLM in {vllm_folder()}; to install them: {INSTALL_VLLM}")
    return {"sglang": Path(sglang.python), "vllm": vllm}


def ask_all(cases: Iterable[Case]) -> dict[str, Answers]:
    """By peer; all at the same time. Raises `NotInstalledError`."""
    texts, found = list(cases), pythons()
    with ThreadPoolExecutor(len(found)) as pool:
        asked = {peer: pool.submit(ask, peer, python, texts) for peer, python in found.items()}
        return {peer: answer.result() for peer, answer in asked.items()}
