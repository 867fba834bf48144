import pytest

from paste_proxy.guard import Guard, UntrustedHostError, UntrustedOriginError


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8700", "127.0.0.1", "localhost:8700", "LOCALHOST", "[::1]:8700", "127.9.9.9:1", ""]
)
def test_loopback_names_pass(host: str) -> None:
    Guard("127.0.0.1").check({"host": host})
    Guard("::1").check({"host": host})
    Guard("localhost").check({"host": host})


@pytest.mark.parametrize(
    "host", ["evil.example:8700", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "[::1", "@:x"]
)
def test_other_names_are_refused_on_loopback(host: str) -> None:
    with pytest.raises(UntrustedHostError, match=r"listen\.host"):
        Guard("127.0.0.1").check({"host": host})


@pytest.mark.parametrize("host", ["evil.example:8700", "paste-proxy:8700", "10.0.0.1"])
def test_any_host_passes_where_the_server_listens_to_a_network(host: str) -> None:
    Guard("0.0.0.0").check({"host": host})


@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0", "gateway.example"])
@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:1"])
def test_pages_of_this_machine_pass(listen: str, origin: str) -> None:
    Guard(listen).check({"host": "localhost", "origin": origin})


@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0", "gateway.example"])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "http://localhost.evil.example", "http://[", "localhost"]
)
def test_pages_of_other_hosts_are_refused(listen: str, origin: str) -> None:
    with pytest.raises(UntrustedOriginError, match="may not call tools"):
        Guard(listen).check({"host": "localhost", "origin": origin})


def test_pages_of_the_address_listened_to_pass() -> None:
    Guard("Gateway.example").check({"host": "gateway.example", "origin": "https://gateway.example"})
