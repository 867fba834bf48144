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


@pytest.mark.parametrize("error", PLAIN, ids=lambda error: error.__name__)
def test_every_error_has_the_shape_of_anthropic_s(error: type[errors.PasteError]) -> None:
    body = errors.anthropic_error(error("what happened", param="the.key"))
    assert body["type"] == "error"
    said = body["error"]
    assert (said["message"], said["param"], said["code"]) == ("what happened", "the.key", error.code)
    types = {
        400: "invalid_request_error",
        401: "authentication_error",
        403: "permission_error",
        413: "request_too_large",
        429: "rate_limit_error",
        503: "overloaded_error",
        504: "timeout_error",
    }
    assert said["type"] == types.get(error.status, "api_error")
