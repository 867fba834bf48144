"""The command line: what goes wrong is one line that says what and where, and an exit code."""

import logging
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web
from multidict import CIMultiDict

from paste_proxy.access.access import Access
from paste_proxy.cli import main
from paste_proxy.config_reading import load_config
from paste_proxy.proxy.server import without_traceback_of_bad_requests
from tests.gateway.servers import raw_connection, serving


def paste_proxy(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "paste_proxy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def complaint(*arguments: str, code: int = 2) -> str:
    done = paste_proxy(*arguments)
    assert done.returncode == code
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0].removeprefix("paste-proxy: ")


def exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """Without a process of its own."""
    monkeypatch.setattr(sys, "argv", ["paste-proxy", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_bad_key(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("listen: {port: x}")
    assert complaint("serve", "--config", str(file)) == f"{file}: listen.port: Expected `int`, got `str`"


def test_no_backend_at_all() -> None:
    assert complaint("serve").startswith("backend.url: no backend; name one")


def test_an_unreachable_backend(closed_port: int) -> None:
    url = f"http://127.0.0.1:{closed_port}"
    assert complaint("serve", "--backend", url, code=1).startswith(f"the backend at {url} can't be reached: ")


@pytest.mark.parametrize("url", ["http://[::1", "http://a..b", "http://a..b:80/", "nothing", "http://a\n"])
def test_a_backend_that_is_no_address(url: str) -> None:
    assert complaint("serve", "--backend", url).startswith(f"backend.url: {url!r}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "a..b"], "listen.host: 'a..b' is no host name or address"),
        (["--host", ""], "listen.host: Expected `str` of length >= 1"),
        (["--wait", "nan"], "backend.wait_s: Expected `float` >= 0.0"),
    ],
)
def test_a_bad_option(options: list[str], said: str) -> None:
    assert complaint("serve", "--backend", "http://127.0.0.1:9", *options) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 2000, "nested too deeply"),
        ("listen: {host: a..b}", "listen.host: 'a..b' is no host name or address"),
        ('store: {path: "a\\0b"}', "store.path: 'a\\x00b' can't be the name of a file"),
        ("limits: {session_idle_s: 0}", "limits.session_idle_s: Expected `float` > 0.0"),
    ],
)
def test_what_can_t_be_used_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    assert complaint("serve", "--config", str(file)) == f"{file}: {said}"


def test_a_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = complaint("serve", "--backend", f"http://127.0.0.1:{port}", "--port", port, code=1)
    assert said.startswith(f"can't listen on 127.0.0.1:{port}: ")
    assert "in use" in said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nowhere_to_be_found", ":1: ModuleNotFoundError"),
        ("x = 1\n1 / 0", ":2: ZeroDivisionError"),
        ("def f(:", ":1: SyntaxError"),
        ("class Odd(BaseException): ...\nraise Odd('x')", ":2: Odd: x"),
    ],
)
def test_a_plugin_that_can_t_be_imported(tmp_path: Path, source: str, said: str) -> None:
    plugin = tmp_path / "p.py"
    plugin.write_text(source)
    config = tmp_path / "c.yaml"
    config.write_text("backend: {url: 'http://127.0.0.1:9'}\nplugins: [{path: p.py}]")
    assert complaint("serve", "--config", str(config)).startswith(f"{plugin}{said}")


def test_a_tool_in_the_allow_list_that_is_not_there(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        "backend: {url: 'http://127.0.0.1:9'}\nspeculation: {allow: [serach]}\nlimits: {clients: 0}"
    )
    assert "speculation.allow: there is no tool 'serach'" in complaint("serve", "--config", str(config))


def test_a_tool_in_the_allow_list_that_can_never_run_ahead(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(
        "from paste_proxy.tools import tool\n@tool()\ndef send(x: int) -> int:\n    return x\n"
    )
    config = tmp_path / "c.yaml"
    config.write_text(
        "backend: {url: 'http://127.0.0.1:9'}\nplugins: [{path: p.py}]\nspeculation: {allow: [send]}"
    )
    assert "send can never run ahead" in complaint("serve", "--config", str(config))


@pytest.mark.parametrize("url", ["http://127.0.0.1:30000/v1", "http://127.0.0.1:30000/v1/", "http://h?x=1"])
def test_a_backend_s_address_that_is_more_than_the_base(url: str) -> None:
    assert "give the base address alone, without /v1" in complaint("serve", "--backend", url)


def test_an_address_of_another_machine(closed_port: int) -> None:
    with socket.socket() as backend:
        backend.bind(("127.0.0.1", 0))
        backend.listen()
        url = f"http://127.0.0.1:{backend.getsockname()[1]}"
        options = ("--host", "192.0.2.1", "--port", "0", "--auth", "off")
        said = complaint("serve", "--backend", url, *options, code=1)
    assert "listen.host (--host) must be an address of this machine" in said


def test_an_unknown_command_and_the_version() -> None:
    assert complaint("serv") == "No such command 'serv'. Did you mean 'serve'?"
    assert paste_proxy("--version").stdout.startswith("paste-proxy, version ")


@pytest.mark.parametrize(
    ("arguments", "usage"), [((), "python -m paste_proxy"), (("lab",), "python -m paste_proxy lab")]
)
def test_without_a_command_its_help_is_shown_as_it_is(arguments: tuple[str, ...], usage: str) -> None:
    done = paste_proxy(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Usage: {usage} [OPTIONS] COMMAND")


def test_a_network_and_no_keys(closed_port: int) -> None:
    said = complaint("serve", "--backend", f"http://127.0.0.1:{closed_port}", "--host", "0.0.0.0")
    assert said.startswith("listen.host: 0.0.0.0 can be reached from a network, and nobody is asked for a key")


def test_a_key_is_made_for_the_client_and_its_digest_for_the_configuration(tmp_path: Path) -> None:
    done = paste_proxy("keys", "new", "red")
    key = done.stdout.strip()
    assert key.startswith("pp-")
    assert key not in done.stderr
    file = tmp_path / "c.yaml"
    file.write_text(done.stderr.partition("\n")[2])
    config = load_config(file)
    access = Access(config, {}, lambda: 0.0)
    assert access.tenant_of(CIMultiDict({"x-paste-key": key})).name == "red"


async def test_a_log_shows_nothing_of_what_was_no_http(tmp_path: Path) -> None:
    """aiohttp's errors quote the line that they are about, and that line may hold a key."""
    app = web.Application()
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("aiohttp.server")
    log.addFilter(without_traceback_of_bad_requests)
    log.addHandler(handler)
    try:
        async with serving(app) as base:
            for wrong in (
                b"Authorization: Bearer pp-secret\x01",
                b"Auth\x01: pp-secret",
                b"x" * 9 + b"pp-secret",
            ):
                async with raw_connection(base) as (reader, writer):
                    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n" + wrong + b"\r\n\r\n")
                    assert b" 400 " in await reader.readline()
    finally:
        log.removeFilter(without_traceback_of_bad_requests)
        log.removeHandler(handler)
    assert len(lines) == 3
    for line in lines:
        assert line.startswith("not HTTP: 400, ")
        assert "secret" not in line


@pytest.mark.parametrize("command", ["serve", "check"])
@pytest.mark.parametrize(
    "text",
    [
        "listen: {port: x}",
        "tenants: {}",
        "backend: {}",
        "backend: {url: 'ftp://x'}",
        "backend: {url: 'http://127.0.0.1:1', key: '${PASTE_TEST_NO_SUCH}'}",
        "backends: {a: {url: 'http://127.0.0.1:1'}, b: {url: 'http://127.0.0.1:1/'}}",
        "backend: {url: 'http://127.0.0.1:1'}\nauth: off\ntenants: {a: {keys: ['sha256:x']}}",
        None,
    ],
)
def test_what_can_t_work_as_it_is_written_ends_all_commands_with_2(
    tmp_path: Path, command: str, text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "c.yaml"
    if text is not None:
        file.write_text(text)
    assert exit_code(monkeypatch, command, "--config", str(file)) == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("serve", "--port", "70000"), 2),
        (("check", "--nothing"), 2),
        (("plugins", "check", "nowhere.py"), 2),
        (("patterns", "export", "--store", "nowhere", "-o", "x"), 2),
        (("mine", "nowhere", "-o", "x"), 2),
        (("lab", "run", "--workload", "nothing"), 2),
        (("mcp-wrap",), 2),
        (("shadow-report", "--url", "http://127.0.0.1:1"), 1),
    ],
)
def test_what_was_asked_for_wrongly_ends_with_2_and_what_failed_with_1(
    arguments: tuple[str, ...], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exit_code(monkeypatch, *arguments) == code


@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_backend_that_is_not_there_ends_all_commands_with_1(
    closed_port: int, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exit_code(monkeypatch, command, "--backend", f"http://127.0.0.1:{closed_port}") == 1


def test_the_exit_code_tells_what_a_command_found(tmp_path: Path) -> None:
    file = tmp_path / "dice.py"
    file.write_text(
        "import random\nfrom paste_proxy.tools import Effect, tool\n"
        "@tool(effect=Effect.READ)\nasync def dice() -> float:\n    return random.random()\n"
    )
    done = paste_proxy("plugins", "run", str(file), "dice", "{}")
    assert (done.returncode, "the results differ" in done.stderr) == (1, True)


def test_a_full_disk_is_one_line() -> None:
    command = [sys.executable, "-m", "paste_proxy", "check", "--json"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        ["paste-proxy: what this writes to is full: make room, or let it write elsewhere"],
    )


def test_a_tenant_that_no_configuration_takes_gets_no_key() -> None:
    assert complaint("keys", "new", "bad name!").startswith("'bad name!' is no tenant's name")
