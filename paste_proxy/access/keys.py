"""API keys: how they are made, written down and recognised. Nothing here keeps a key longer than a call.

A configuration holds digests, or names of environment variables: a file that is shown, copied or committed
gives no key away. The digest is SHA-256 without a salt, which is enough for what a machine has made and no
person could remember; a key that is short is refused.
"""

import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from hashlib import sha256

from paste_proxy.errors import ConfigError

PREFIX = "pp-"
"""Keys that are made here begin with it. So one that is wrong is told to be wrong, and never sent on."""
SHORTEST = 20
"""Characters of a key: below, its digest could be turned back by trying."""
SCHEME = "sha256:"

_DIGEST = re.compile(SCHEME + "([0-9a-f]{64})")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def new_key() -> str:
    """256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()


def written_digest(key: str) -> str:
    """As the configuration has it."""
    return SCHEME + digest_of(key).hex()


def from_environment(where: str, written: str, environment: Mapping[str, str]) -> str:
    """The secret that `${NAME}` stands for. Raises `ConfigError`, which shows nothing of a secret."""
    named = _VARIABLE.fullmatch(written)
    if named is None:
        raise ConfigError(
            f"{where}: secrets are not written into the configuration: write ${{NAME}}, and put it into the "
            "environment under that name",
            param=where,
        )
    value = environment.get(named[1], "").strip()
    if not value or not (value.isascii() and value.isprintable()):
        state = "is not set in" if not value else "can't be sent in a header as it stands in"
        raise ConfigError(f"{where}: {named[1]} {state} the environment", param=where)
    return value


def _digest(where: str, written: str, environment: Mapping[str, str]) -> bytes:
    if stated := _DIGEST.fullmatch(written):
        return bytes.fromhex(stated[1])
    if not _VARIABLE.fullmatch(written):
        raise ConfigError(
            f"{where}: is no digest and no ${{NAME}} of an environment variable; `paste-proxy keys new` makes "
            "a key and its digest",
            param=where,
        )
    key = from_environment(where, written, environment)
    if len(key) < SHORTEST:
        raise ConfigError(
            f"{where}: the key in the environment has fewer than {SHORTEST} characters; `paste-proxy keys new` "
            "makes one that can't be guessed",
            param=where,
        )
    return digest_of(key)


class Keyring:
    """Whose key is it?"""

    def __init__(self, keys: Mapping[str, Iterable[str]], environment: Mapping[str, str]) -> None:
        """`keys` by tenant, as they are written. Raises `ConfigError`."""
        self._owners: dict[bytes, tuple[bytes, str]] = {}
        for tenant, written in keys.items():
            for at, one in enumerate(written):
                self._add(f"tenants.{tenant}.keys[{at}]", one, tenant, environment)

    def _add(self, where: str, written: str, tenant: str, environment: Mapping[str, str]) -> None:
        digest = _digest(where, written, environment)
        if digest in self._owners:
            owner = self._owners[digest][1]
            raise ConfigError(f"{where}: {owner} has the same key: each tells one tenant", param=where)
        self._owners[digest] = (digest, tenant)

    def owner(self, key: str) -> str | None:
        """How long it takes depends on the digest of what was sent, which nobody can choose, not on a key."""
        digest = digest_of(key)
        known, tenant = self._owners.get(digest, (b"", ""))
        return tenant if hmac.compare_digest(known, digest) else None
