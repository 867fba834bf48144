"""How keys are written down, and that no error shows one."""

import pytest

from paste_proxy.access.keys import Keyring, digest_of, from_environment, new_key, written_digest
from paste_proxy.errors import ConfigError

KEY = "pp-" + "k" * 40


def test_a_new_key_is_known_by_its_digest() -> None:
    key = new_key()
    ring = Keyring({"a": [written_digest(key)], "b": ["${B}"]}, {"B": KEY})
    assert (ring.owner(key), ring.owner(KEY), ring.owner(new_key()), ring.owner("")) == ("a", "b", None, None)
    assert new_key() != key
    assert digest_of(key).hex() in written_digest(key)


@pytest.mark.parametrize("sent", ["\udcff\udc00", "pp-é", "pp-" + "x" * 100_000])
def test_whatever_is_sent_is_somebody_s_or_nobody_s(sent: str) -> None:
    assert Keyring({"a": ["${B}"]}, {"B": KEY}).owner(sent) is None


@pytest.mark.parametrize(
    ("keys", "environment", "said"),
    [
        ({"a": [KEY]}, {}, r"tenants\.a\.keys\[0\]: is no digest and no \$\{NAME\}"),
        ({"a": ["sha256:" + "A" * 64]}, {}, "is no digest"),
        ({"a": ["${B}"]}, {}, r"tenants\.a\.keys\[0\]: B is not set in the environment"),
        ({"a": ["${B}"]}, {"B": "  "}, "B is not set"),
        ({"a": ["${B}"]}, {"B": "k" * 19}, "fewer than 20 characters"),
        ({"a": ["${B}"]}, {"B": "kö" * 19}, "can't be sent in a header"),
        ({"a": ["${B}"], "b": ["${B}"]}, {"B": KEY}, r"tenants\.b\.keys\[0\]: a has the same key"),
        ({"a": ["${B}", written_digest(KEY)]}, {"B": KEY}, r"tenants\.a\.keys\[1\]: a has the same key"),
    ],
)
def test_a_key_that_can_t_be_used(keys: dict[str, list[str]], environment: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        Keyring(keys, environment)
    assert "kkkk" not in caught.value.message
    assert "kö" not in caught.value.message


def test_the_backend_s_key_is_not_written_down_either() -> None:
    assert from_environment("backend.key", "${OPENAI_API_KEY}", {"OPENAI_API_KEY": " sk-1\n"}) == "sk-1"
    with pytest.raises(ConfigError, match=r"backend\.key: secrets are not written") as caught:
        from_environment("backend.key", "sk-secret", {})
    assert "sk-secret" not in caught.value.message
