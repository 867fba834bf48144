"""`paste-proxy check`, as it is run."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from paste_proxy.check_command import UNREACHABLE, USABLE, check
from paste_proxy.errors import ConfigError


class _Plain(BaseHTTPRequestHandler):
    """A plain OpenAI-like server: models, and nothing else."""

    def do_GET(self) -> None:
        found = self.path == "/v1/models"
        body = json.dumps({"data": [{"id": "m"}]} if found else {}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def plain() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Plain)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(check, arguments, standalone_mode=False)
    assert result.exception is None
    return result.return_value, result.output


def test_a_server_that_can_be_used(plain: str) -> None:
    code, output = run("--backend", plain)
    assert code == USABLE
    assert output.startswith(f"backend {plain}\n  reachable: yes, it answers 200 (GET /v1/models)\n")
    assert "  models: yes, m (/v1/models)\n" in output
    assert "  priority: no - " in output


def test_for_programs(plain: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"backends:\n  a: {{url: {plain}}}\n  b: {{url: http://127.0.0.1:1}}\n")
    code, output = run("--config", str(file), "--json")
    told = json.loads(output)
    assert (code, told["usable"]) == (UNREACHABLE, False)
    assert [(one["name"], one["usable"]) for one in told["backends"]] == [("a", True), ("b", False)]
    first = told["backends"][0]["abilities"][0]
    assert first == {
        "ability": "reachable",
        "state": "yes",
        "what": "it answers 200",
        "how": "GET /v1/models",
        "advice": "",
    }


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("backend: {url: 3}", "backend.url"),
        ("backend: {urls: x}", "did you mean `url`"),
        ("speculation: {mode: off}", "backend.url: no backend"),
        ("backend: {url: 'ftp://x'}", "backend.url"),
        ("backend: {url: 'http://127.0.0.1:1', tool_format: nonsense}", "backend.tool_format"),
        ("backend: {url: 'http://127.0.0.1:1', key: '${PASTE_TEST_NO_SUCH}'}", "backend.key"),
        (
            "backends: {a: {url: 'http://h:1'}, b: {url: 'http://H:1/'}}",
            "backends.b.url: http://H:1/ is the address of backends.a, too",
        ),
        ("listen: {host: 0.0.0.0}\nbackend: {url: 'http://127.0.0.1:1'}", "auth: off"),
    ],
)
def test_a_configuration_that_is_none(text: str, key: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    code, output = run("--config", str(file))
    assert (code, key in output) == (ConfigError.exit_code, True)
    code, output = run("--config", str(file), "--json")
    told = json.loads(output)
    assert (code, told["usable"], key in told["error"]) == (ConfigError.exit_code, False, True)


def test_a_file_that_is_not_there() -> None:
    code, output = run("--config", "/nowhere.yaml")
    assert (code, "/nowhere.yaml" in output) == (ConfigError.exit_code, True)


def test_a_web_server_that_is_no_llm_server_is_an_error_that_says_what_to_set(tmp_path: Path) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        code, output = run("--backend", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()
    assert code == UNREACHABLE
    assert "llm_server: no, it answers /v1/models 404, /v1/chat/completions 501, " in output
    assert "correct the url" in output
