"""What SGLang's and vLLM's parsers make of every text: asked once, since that takes a minute."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from paste_proxy.lab.sglang_server import INSTALL_COMMAND as INSTALL_SGLANG
from paste_proxy.lab.sglang_server import find_install, venv_folder
from tests.conformance.install_vllm_parsers import INSTALL_COMMAND as INSTALL_VLLM
from tests.conformance.install_vllm_parsers import find_vllm, vllm_folder
from tests.conformance.parsers.corpus import cases
from tests.conformance.parsers.outcomes import Answers, ask


def sglang_python() -> Path | None:
    install = find_install()
    return None if install is None else Path(install.python)


@pytest.fixture(scope="session")
def answers() -> dict[str, Answers]:
    """By peer."""
    pythons = {"sglang": sglang_python(), "vllm": find_vllm()}
    if pythons["sglang"] is None:
        pytest.skip(f"no SGLang in {venv_folder()}; to install it: {INSTALL_SGLANG}")
    if pythons["vllm"] is None:
        pytest.skip(f"no parsers of vLLM in {vllm_folder()}; to install them: {INSTALL_VLLM}")
    texts = list(cases())
    with ThreadPoolExecutor() as pool:
        asked = {peer: pool.submit(ask, peer, python, texts) for peer, python in pythons.items() if python}
        return {peer: answer.result() for peer, answer in asked.items()}
