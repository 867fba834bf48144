"""What SGLang's and vLLM's parsers make of every text: asked once, since that takes a minute."""

import pytest

from tests.conformance.parsers.corpus import cases
from tests.conformance.parsers.installed import NotInstalledError, ask_all
from tests.conformance.parsers.outcomes import Answers


@pytest.fixture(scope="session")
def answers() -> dict[str, Answers]:
    """By peer."""
    try:
        return ask_all(cases())
    except NotInstalledError as error:
        pytest.skip(str(error))
