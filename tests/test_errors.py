"""One family, one shape."""

import pytest

import paste_proxy.app  # noqa: F401 - for the error classes of all parts
from paste_proxy import errors
from tests.test_docs import family

PLAIN = [one for one in family(errors.PasteError) if one.__init__ is errors.PasteError.__init__]


@pytest.mark.parametrize("error", PLAIN, ids=lambda error: error.__name__)
def test_every_error_has_the_shape_of_openai_s(error: type[errors.PasteError]) -> None:
    body = errors.openai_error(error("what happened", param="the.key"))
    assert body == {
        "error": {"message": "what happened", "type": error.type, "param": "the.key", "code": error.code}
    }
    assert 400 <= error.status < 600
    assert (error.status < 500) == (error.type == "invalid_request_error")
