"""Whose request it is, whether it may, and which header fields go on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from paste_proxy.access.access import Access, Fields
from paste_proxy.access.keys import written_digest
from paste_proxy.access.paths import is_for_models
from paste_proxy.config import BackendConfig, Config, ListenConfig, TenantConfig
from paste_proxy.errors import ConfigError, ForbiddenError, MissingKeyError, PasteError, UnknownKeyError

RED, BLUE, CHIEF = ("pp-" + letter * 40 for letter in "rbc")
PLAIN = "a-key-of-before-without-prefix"
WRONG = "pp-" + "w" * 40
BACKEND = "sk-backend"
TENANTS = {
    "red": TenantConfig(keys=(written_digest(RED), written_digest(PLAIN)), requests_per_minute=2),
    "blue": TenantConfig(keys=(written_digest(BLUE),)),
    "chief": TenantConfig(keys=(written_digest(CHIEF),), admin=True),
}


def access(*, key: str = "${BACKEND}") -> Access:
    config = Config(backend=BackendConfig(key=key), tenants=TENANTS)
    return Access(config, {"BACKEND": BACKEND}, lambda: 0.0)


def sent_on(
    fields: dict[str, str], target: str = "/v1/chat/completions", key_header: str = ""
) -> dict[str, str]:
    """What of the credentials goes to the backend."""
    one = access()
    headers = CIMultiDict(fields)
    raw: Fields = tuple((name.encode(), value.encode()) for name, value in fields.items())
    passed = one.forwarded(raw, one.tenant_of(headers), target, key_header, BACKEND)
    return {name.decode().lower(): value.decode() for name, value in passed}


@pytest.mark.parametrize(
    ("fields", "tenant"),
    [
        ({"X-Paste-Key": RED}, "red"),
        ({"Authorization": f"Bearer {RED}"}, "red"),
        ({"authorization": f"bearer  {PLAIN} "}, "red"),
        ({"x-api-key": BLUE}, "blue"),
        ({"x-paste-key": BLUE, "authorization": f"Bearer {RED}"}, "blue"),
        ({"authorization": "Bearer sk-of-the-client", "x-api-key": BLUE}, "blue"),
    ],
)
def test_where_a_key_may_stand(fields: dict[str, str], tenant: str) -> None:
    assert access().tenant_of(CIMultiDict(fields)).name == tenant


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, MissingKeyError),
        ({"authorization": "Bearer sk-of-the-client"}, MissingKeyError),
        ({"authorization": f"Basic {RED}"}, MissingKeyError),
        ({"cookie": RED, "x-session-id": RED}, MissingKeyError),
        ({"x-paste-key": ""}, UnknownKeyError),
        ({"x-paste-key": WRONG, "authorization": f"Bearer {RED}"}, UnknownKeyError),
        ({"authorization": f"Bearer {WRONG}"}, UnknownKeyError),
        ({"x-api-key": WRONG}, UnknownKeyError),
    ],
)
def test_without_a_good_key_nobody_gets_in(fields: dict[str, str], error: type[PasteError]) -> None:
    one = access()
    with pytest.raises(error) as caught:
        one.tenant_of(CIMultiDict(fields))
    assert "WWW-Authenticate" in caught.value.headers
    assert WRONG not in caught.value.message
    assert one.refused == {("", error.code): 1}


@pytest.mark.parametrize(
    ("fields", "target", "key_header", "passed"),
    [
        ({"authorization": f"Bearer {RED}"}, "/v1/models", "", {"authorization": f"Bearer {BACKEND}"}),
        ({"x-api-key": RED}, "/v1/messages", "", {"x-api-key": BACKEND}),
        ({"x-api-key": RED}, "/v1/messages", "authorization", {"authorization": f"Bearer {BACKEND}"}),
        ({"x-paste-key": RED}, "/v1/messages", "", {"x-api-key": BACKEND}),
        ({"x-paste-key": RED}, "/v1/messages", "authorization", {"authorization": f"Bearer {BACKEND}"}),
        ({"x-paste-key": RED}, "/v1/chat/completions", "", {"authorization": f"Bearer {BACKEND}"}),
        # The client's own with the backend stays.
        (
            {"x-paste-key": RED, "authorization": "Bearer own"},
            "/v1/models",
            "",
            {"authorization": "Bearer own"},
        ),
        ({"x-api-key": RED, "authorization": "Basic own"}, "/v1/models", "", {"authorization": "Basic own"}),
        # Whatever looks like one of ours goes nowhere.
        (
            {"x-paste-key": RED, "authorization": f"Bearer {WRONG}", "x-api-key": PLAIN},
            "/v1/models",
            "",
            {"authorization": f"Bearer {BACKEND}"},
        ),
        # The backend's key opens more than models: its other paths get it from those who may reach them alone.
        ({"x-paste-key": RED}, "/flush_cache", "", {}),
        ({"x-paste-key": CHIEF}, "/flush_cache", "", {"authorization": f"Bearer {BACKEND}"}),
    ],
)
def test_a_key_of_ours_is_replaced(
    fields: dict[str, str], target: str, key_header: str, passed: dict[str, str]
) -> None:
    assert sent_on({"accept": "*/*", **fields}, target, key_header) == {
        "accept": "*/*",
        **passed,
    }


names = st.sampled_from(["x-paste-key", "X-Api-Key", "authorization", "Authorization", "cookie", "accept"])
values = st.sampled_from(
    [RED, f"Bearer {RED}", f"bearer {BLUE}", f"Basic {BLUE}", BLUE, WRONG, PLAIN, "sk-own", "Bearer sk-own", ""]
)


@given(st.lists(st.tuples(names, values), max_size=6))
def test_no_key_of_ours_ever_goes_on(fields: list[tuple[str, str]]) -> None:
    """But where no client puts one: cookies and the like are not read."""
    one = access()
    try:
        tenant = one.tenant_of(CIMultiDict(fields))
    except PasteError:
        return
    raw = tuple((name.encode(), value.encode()) for name, value in fields)
    for name, value in one.forwarded(raw, tenant, "/v1/models", "", ""):
        if name.lower() in (b"x-paste-key", b"x-api-key", b"authorization"):
            assert not any(key.encode() in value for key in (RED, BLUE, WRONG, PLAIN))


def test_where_nobody_is_asked_nothing_is_touched() -> None:
    one = Access(Config(backend=BackendConfig(key="${K}")), {"K": BACKEND}, lambda: 0.0)
    raw: Fields = ((b"Authorization", f"Bearer {RED}".encode()), (b"x-paste-key", b"x"))
    tenant = one.tenant_of(CIMultiDict({"authorization": f"Bearer {RED}"}))
    assert tenant.name == "default"
    assert one.forwarded(raw, tenant, "/v1/models", "authorization", "") is raw
    one.request(tenant, "/flush_cache")
    one.check_sees_all(tenant)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "proxy.internal"])
def test_on_a_network_nobody_is_let_in_without_a_word(host: str) -> None:
    listen = ListenConfig(host=host)
    with pytest.raises(ConfigError, match=f"^listen.host: {host} can be reached from a network.*auth: off`$"):
        Access(Config(listen=listen), {}, lambda: 0.0)
    assert not Access(Config(listen=listen, auth="off"), {}, lambda: 0.0).required
    assert Access(Config(listen=listen, tenants=TENANTS), {}, lambda: 0.0).required


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (Config(auth="off", tenants=TENANTS), "auth: off, but there are tenants"),
        (Config(tenants={"a": TenantConfig()}), r"tenants\.a\.keys: none"),
    ],
)
def test_a_contradiction_is_no_start(config: Config, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Access(config, {}, lambda: 0.0)


@pytest.mark.parametrize(
    ("target", "is_open"),
    [
        ("/v1/chat/completions", True),
        ("/v1/models?x=/../y", True),
        ("/generate", True),
        ("/health", True),
        ("/flush_cache", False),
        ("/abort_request", False),
        ("/", False),
        ("/v1", False),
        ("/generate/../flush_cache", False),
        ("/v1/../flush_cache", False),
        ("/v1/%2e%2E/flush_cache", False),
        ("/v1/..%2fflush_cache", False),
        ("/v1/..%5cflush_cache", False),
        ("/v1/.", False),
        ("/v1/files/a..b", True),
        ("//v1/x", False),
    ],
)
def test_the_paths_of_models(target: str, *, is_open: bool) -> None:
    assert is_for_models(target) is is_open


def test_a_tenant_reaches_models_and_an_admin_all() -> None:
    one = access()
    red, chief = (one.tenant_of(CIMultiDict({"x-paste-key": key})) for key in (RED, CHIEF))
    one.request(chief, "/flush_cache")
    with pytest.raises(ForbiddenError, match="/flush_cache is not under /v1/"):
        one.request(red, "/flush_cache?key=1")
    one.check_sees_all(chief)
    with pytest.raises(ForbiddenError, match="all tenants"):
        one.check_sees_all(red)
    assert one.refused == {("red", "forbidden"): 2}


def test_each_tenant_has_its_own_limits() -> None:
    one = access()
    red, blue = (one.tenant_of(CIMultiDict({"x-paste-key": key})) for key in (RED, BLUE))
    for _ in range(2):
        one.request(red, "/v1/models")
    with pytest.raises(PasteError, match="more than 2 requests a minute"):
        one.request(red, "/v1/models")
    for _ in range(100):
        one.request(blue, "/v1/models")
        one.call(red)
    assert one.refused == {("red", "rate_limit_exceeded"): 1}
