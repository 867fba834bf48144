"""Which tenant asks? One answer for both planes and the proxy's own pages; and what of a request goes on.

With `auth: off`, and on loopback without tenants, everybody is the one tenant that there is, and requests pass
as they are. With tenants a request shows a key of one of them:

* in `x-paste-key`: `Authorization` and `x-api-key` stay the client's own business with the backend;
* or where its SDK puts its key: `Authorization: Bearer`, `x-api-key`.

A key of ours is never sent on. In its place goes the backend's own (`backend.key`), if there is one.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from multidict import CIMultiDict, CIMultiDictProxy

from paste_proxy.access.keys import PREFIX, Keyring, from_environment
from paste_proxy.access.limits import AtOnce, Quota, RateLimitedError
from paste_proxy.access.paths import check_reach, is_for_models
from paste_proxy.config import Config, TenantConfig
from paste_proxy.errors import ConfigError, ForbiddenError, MissingKeyError, PasteError, UnknownKeyError
from paste_proxy.guard import is_loopback

OWN = "x-paste-key"
AUTHORIZATION, API_KEY = "authorization", "x-api-key"
HEADERS = (OWN, AUTHORIZATION, API_KEY)
"""Where a key may stand, the most telling first."""
_CREDENTIALS = {name.encode(): name for name in HEADERS}
NOBODY = "default"
"""The tenant where there are no keys."""

Fields = tuple[tuple[bytes, bytes], ...]
Headers = CIMultiDict[str] | CIMultiDictProxy[str]


@dataclass(eq=False, slots=True)
class Tenant:
    """Who pays and who may see, while the proxy runs."""

    name: str
    config: TenantConfig
    requests: Quota
    calls: Quota
    turns: AtOnce

    @classmethod
    def of(cls, name: str, config: TenantConfig) -> "Tenant":
        key = f"tenants.{name}."
        return cls(
            name,
            config,
            Quota("requests", key + "requests_per_minute", config.requests_per_minute),
            Quota("calls", key + "calls_per_minute", config.calls_per_minute),
            AtOnce("turns", key + "concurrent_turns", config.concurrent_turns),
        )

    @property
    def sees_all(self) -> bool:
        return self.config.admin


class Access:
    """Built once for all planes. `clock` is only read for the rate limits."""

    def __init__(self, config: Config, environment: Mapping[str, str], clock: Callable[[], float]) -> None:
        """Raises `ConfigError` where nobody would be asked for a key though a network can reach the proxy."""
        self._clock = clock
        self._environment = environment
        self._everybody = Tenant.of(NOBODY, TenantConfig(admin=True, max_priority=10))
        self._tenants: dict[str, Tenant] = {}
        self._keyring: Keyring | None = None
        self.prepare(config)()
        self.refused: Counter[tuple[str, str]] = Counter()
        """Requests refused, by tenant ("" where it is not known) and error code."""

    def prepare(self, config: Config) -> Callable[[], None]:
        """What makes it so; nothing has changed yet. Raises `ConfigError`."""
        _check_auth(config)
        keys = {name: one.keys for name, one in config.tenants.items()}
        keyring = Keyring(keys, self._environment) if keys else None
        tenants = {name: self._tenant(name, one) for name, one in config.tenants.items()}

        def take() -> None:
            self._keyring, self._tenants = keyring, tenants
            for tenant in tenants.values():
                tenant.turns.limit = tenant.config.concurrent_turns

        return take

    def _tenant(self, name: str, config: TenantConfig) -> Tenant:
        """Of one that was there before, what it has under way counts on, and what it has used as long as its
        limits are the same."""
        old, new = self._tenants.get(name), Tenant.of(name, config)
        if old is None:
            return new
        new.turns = old.turns
        if old.config.requests_per_minute == config.requests_per_minute:
            new.requests = old.requests
        if old.config.calls_per_minute == config.calls_per_minute:
            new.calls = old.calls
        return new

    def backend_keys(self, config: Config) -> dict[str, str]:
        """The backends' own, for what goes to them without a client's. Raises `ConfigError`."""
        return {
            name: from_environment(f"{config.key_of(name)}.key", one.key, self._environment) if one.key else ""
            for name, one in config.all_backends.items()
        }

    @property
    def required(self) -> bool:
        return self._keyring is not None

    def tenant_of(self, headers: Headers) -> Tenant:
        """Raises `MissingKeyError`, `UnknownKeyError`."""
        if self._keyring is None:
            return self._everybody
        for name in HEADERS:
            for value in headers.getall(name, ()):
                key = _credential(value)
                owner = self._keyring.owner(key) if key else None
                if owner is not None:
                    return self._tenants[owner]
                if name == OWN or key.startswith(PREFIX):
                    self.refused["", UnknownKeyError.code] += 1
                    raise UnknownKeyError(f"the key in {name} is not known: ask who runs this proxy for one")
        self.refused["", MissingKeyError.code] += 1
        raise MissingKeyError(
            f"this proxy wants a key of its own: send it as {OWN}, as `Authorization: Bearer KEY`, or as "
            f"{API_KEY} (an SDK's api_key)"
        )

    def still(self, tenant: Tenant, headers: Headers) -> Tenant | None:
        """The tenant now, of whom a socket was opened with these; None where its key was taken back."""
        try:
            now = self.tenant_of(headers)
        except PasteError:
            return None
        return now if now.name == tenant.name else None

    # -- what is asked for ----------------------------------------------------------------------------------

    def request(self, tenant: Tenant, target: str) -> None:
        """A request for the backend. Raises `ForbiddenError`, `RateLimitedError`."""
        if self._keyring is None:
            return
        try:
            check_reach(target, admin=tenant.config.admin)
            tenant.requests.take(self._clock())
        except (ForbiddenError, RateLimitedError) as error:
            raise self._counted(tenant, error) from None

    def turn(self, tenant: Tenant) -> AtOnce:
        """To be entered for as long as a turn is under way. Raises `RateLimitedError`."""
        if (error := tenant.turns.refusal()) is not None:
            raise self._counted(tenant, error)
        return tenant.turns

    def call(self, tenant: Tenant) -> None:
        """A call of a tool. Raises `RateLimitedError`."""
        try:
            tenant.calls.take(self._clock())
        except RateLimitedError as error:
            raise self._counted(tenant, error) from None

    def check_sees_all(self, tenant: Tenant) -> None:
        """What is summed over all tenants. Raises `ForbiddenError`."""
        if not tenant.sees_all:
            reason = "this page is about all tenants: it needs a key of one with `admin: true`"
            raise self._counted(tenant, ForbiddenError(reason))

    def _counted(self, tenant: Tenant, error: PasteError) -> PasteError:
        self.refused[tenant.name, error.code] += 1
        return error

    # -- what goes on ---------------------------------------------------------------------------------------

    def forwarded(
        self, fields: Fields, tenant: Tenant, target: str, key_header: str, backend_key: str
    ) -> Fields:
        """The header fields for a backend. `key_header`: the one that it reads, "" for the one in which the
        client's key came. `backend_key`: its own, "" for none."""
        if self._keyring is None:
            return fields
        kept: list[tuple[bytes, bytes]] = []
        came_in, has_own = "", False
        for field in fields:
            name = _CREDENTIALS.get(field[0].lower())
            if name is None:
                kept.append(field)
            elif not self._is_ours(name, field[1]):
                kept.append(field)
                has_own = True
            elif name != OWN:
                came_in = came_in or name
        if backend_key and not has_own and (tenant.config.admin or is_for_models(target)):
            kept.append(_backend_field(key_header or came_in or _usual_header(target), backend_key))
        return tuple(kept)

    def _is_ours(self, name: str, value: bytes) -> bool:
        """Whatever the scheme before it."""
        words = value.decode("utf-8", "surrogateescape").split()
        ring = self._keyring
        if name == OWN or any(word.startswith(PREFIX) for word in words):
            return True
        return ring is not None and any(ring.owner(word) is not None for word in words)


def _credential(value: str) -> str:
    """A header field without the scheme `Bearer`; other schemes carry no key."""
    scheme, _, credential = value.strip().partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else value.strip()


def _backend_field(header: str, key: str) -> tuple[bytes, bytes]:
    if header == API_KEY:
        return b"x-api-key", key.encode()
    return b"Authorization", b"Bearer " + key.encode()


def _usual_header(target: str) -> str:
    """Where clients of that API put their key."""
    return API_KEY if target.startswith("/v1/messages") else AUTHORIZATION


def _check_auth(config: Config) -> None:
    if config.auth == "off":
        if config.tenants:
            raise ConfigError("auth: off, but there are tenants: nobody would be asked for a key", param="auth")
        return
    if not config.tenants and not is_loopback(config.listen.host):
        raise ConfigError(
            f"listen.host: {config.listen.host} can be reached from a network, and nobody is asked for a key: "
            "write `tenants: {NAME: {keys: [...]}}` (`paste-proxy keys new` makes one), or `auth: off`",
            param="auth",
        )
    for name, tenant in config.tenants.items():
        if not tenant.keys:
            raise ConfigError(
                f"tenants.{name}.keys: none, so nobody can be {name}", param=f"tenants.{name}.keys"
            )
