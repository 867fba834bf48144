"""The configuration file: what is wrong is named by its path; relative paths count from the file."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paste_proxy.config import (
    BackendConfig,
    ClientToolConfig,
    Config,
    ListenConfig,
    NetworkConfig,
    SpeculationConfig,
    TenantConfig,
)
from paste_proxy.config_reading import check_config, load_config
from paste_proxy.errors import ConfigError
from paste_proxy.tools.loading import load_plugin


def written(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("listen: {port: x}", "listen.port: Expected `int`"),
        ("speculation: {allow: all}", "speculation.allow: Expected `array`"),
        ("backend: {ur: y}", "backend: Object contains unknown field `ur`"),
        ("plugins:\n- path: a\n- pth: b", "plugins[1]: Object contains unknown field `pth`"),
        ("speculation: {mode: maybe}", "speculation.mode: Invalid enum value 'maybe'"),
        ("- a list", "Expected `object`"),
        ("a: [", "not YAML"),
        ("a: 2026-13-45", "not YAML"),
        ("plugins: " + "[" * 2000, "nested too deeply"),
        ("plugins: &p [*p]", "plugins[0]: Expected `object`"),
        ("listen: {host: ''}", "listen.host: Expected `str` of length >= 1"),
        ("listen: {host: a..b}", "listen.host: 'a..b' is no host name"),
        ('listen: {host: "a\\0b"}', "listen.host: 'a\\x00b' is no host name"),
        ('store: {path: "a\\0b"}', "store.path: 'a\\x00b' can't be the name of a file"),
        ('store: {path: "\\ud800"}', "store.path: '\\ud800' can't be the name of a file"),
        ("limits: {tool_runs: 4}", "limits.tool_reserve: 4 is not less than limits.tool_runs (4)"),
        ("limits: {tool_runs: 8, tool_reserve: 9}", "limits.tool_reserve: 9 is not less"),
        ("limits: {staged_result_bytes: 9000000}", "limits.staged_result_bytes: 9000000 is more than"),
        ("limits: {staged_total_bytes: 5000}", "limits.staged_session_bytes: 8388608 is more than"),
        ("\ttabs: 1", "not YAML"),
        ("1: x", "1 is no text, as names are: write it in quotes"),
        ("tenants: {a: {keys: []}, 2: {keys: []}}", "tenants: 2 is no text, as names are"),
        ("backends: {true: {url: http://x}}", "backends: true is no text"),
        ("client_tools: {~: {}}", "client_tools: null is no text"),
        ("mcp_servers: {a: {command: x, env: {1: x}}}", "mcp_servers.a.env: 1 is no text"),
        (
            "speculation: {network: {f: {hosts: [http://a.b]}}}",
            "f.hosts[0]: not one of the choices: choose a host alone",
        ),
        (
            "speculation: {network: {f: {hosts: [a.b:80]}}}",
            "f.hosts[0]: not one of the choices: choose a host alone",
        ),
        (
            "speculation: {network: {f: {hosts: [a.b/c]}}}",
            "f.hosts[0]: not one of the choices: choose a host alone",
        ),
        (
            "speculation: {network: {f: {hosts: ['a.*']}}}",
            "f.hosts[0]: not one of the choices: choose a host alone",
        ),
        (
            "speculation: {network: {f: {hosts: ['*a.b']}}}",
            "f.hosts[0]: not one of the choices: choose a host alone",
        ),
        ("client_tools: {x: {writes: ['']}}", "client_tools.x.writes[0]: Expected `str` of length >= 1"),
        ("mcp_servers: {a: {command: x, tools: {t: {reads: ['']}}}}", "tools.t.reads[0]: Expected `str` of"),
    ],
)
def test_a_bad_key_is_named_by_file_and_path_in_one_line(tmp_path: Path, text: str, where: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(file) in caught.value.message
    assert where in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (
            "speculation: {mode: shadwo}",
            "speculation.mode: Invalid enum value 'shadwo': choose one of off, on, shadow",
        ),
        ("speculation: {mode: true}", "Expected `str`, got `bool`: choose one of off, on, shadow"),
        (
            "schedule: {policy: fifo}",
            "schedule.policy: not one of the choices: choose fcfs, joint, length, paste, plas, or semaphore:N ",
        ),
        (
            "backend: {ur: y}",
            "unknown field `ur`: did you mean `url`? The keys here are url, kind, key, wait_s, ",
        ),
        ("listen: {zzz: 1}", "unknown field `zzz`: The keys here are host, port"),
        (
            "limits: {staged_bytes: 1}",
            "did you mean `staged_total_bytes` or `staged_result_bytes` or `staged_session_bytes`?",
        ),
        (
            "specultion: {}",
            "unknown field `specultion`: did you mean `speculation`? The keys here are listen, ",
        ),
        ("plugins:\n- pth: b", "plugins[0]: Object contains unknown field `pth`: did you mean `path`? "),
        ("client_tools: {edit: {write: []}}", "did you mean `writes`? The keys here are writes"),
    ],
)
def test_what_is_wrong_comes_with_what_would_be_right(tmp_path: Path, text: str, advice: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, text))
    assert advice in caught.value.message
    assert "\n" not in caught.value.message


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not YAML"):
        load_config(tmp_path / "binary")


def test_a_section_with_nothing_in_it_is_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("speculation:\n  # mode: on\nlisten: {port: 1234}\n")
    config = load_config(path)
    assert config.speculation == Config().speculation
    assert config.listen.port == 1234


def test_a_section_within_one_or_of_one_name_may_be_empty_too(tmp_path: Path) -> None:
    text = """
backends:
  one: {url: http://127.0.0.1:1}
speculation:
  budgets:
    tenant:
  allow:
    # - search
  network:
    search:
client_tools:
  shell:
tenants:
  a:
mcp_servers:
  # docs: {command: [docs]}
"""
    config = load_config(written(tmp_path, text))
    assert config.speculation == SpeculationConfig(network={"search": NetworkConfig()})
    assert (config.client_tools, config.tenants) == ({"shell": ClientToolConfig()}, {"a": TenantConfig()})


@pytest.mark.parametrize("key", ["backend.url", "tenants.a.tools", "client_tools.x.writes", "limits.clients"])
def test_a_value_that_was_left_out_is_asked_for_where_it_would_be_a_guess(key: str, tmp_path: Path) -> None:
    text = "".join(f"{'  ' * depth}{name}:\n" for depth, name in enumerate(key.split(".")))
    with pytest.raises(ConfigError, match=re.escape(key)):
        load_config(written(tmp_path, text))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("mcp_servers.fs.include", "mcp_servers:\n  fs:\n    command: fs\n    include:{}\n"),
        ("http.targets.ports", "http:\n  targets:\n    ports:{}\n"),
    ],
)
def test_a_list_that_was_left_out_is_not_taken_for_all(key: str, text: str, tmp_path: Path) -> None:
    """An empty one is."""
    with pytest.raises(
        ConfigError, match=rf"{key}: Expected `array`, got `null`: choose some, or \[\] for all"
    ):
        load_config(written(tmp_path, text.format("\n    # - one")))
    load_config(written(tmp_path, text.format(" []")))


@pytest.mark.parametrize("empty", ["", " {}", "\n  # red: {keys: [sha256:...]}"])
def test_tenants_that_are_written_and_none_are_not_taken_for_nobody_to_be_asked(
    empty: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"tenants: names none, .*; name one, or delete the key"):
        load_config(written(tmp_path, f"listen: {{port: 1}}\ntenants:{empty}\n"))


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "# nothing\n")) == Config()


def test_relative_paths_count_from_the_file(tmp_path: Path) -> None:
    text = "plugins: [{path: p.py}, {path: /abs/p.py}, {entry_point: docs}]\nstore: {path: s.sqlite}"
    config = load_config(written(tmp_path, text))
    assert [plugin.path for plugin in config.plugins] == [str(tmp_path / "p.py"), "/abs/p.py", ""]
    assert config.store.path == str(tmp_path / "s.sqlite")


MONTH_S = 30 * 86_400
BOUNDS: dict[str, tuple[float, float, tuple[float, ...]]] = {
    "listen.port": (0, 65535, ()),
    "backend.wait_s": (0, MONTH_S, ()),
    "backend.connect_timeout_s": (0.001, MONTH_S, (0,)),
    "backend.silence_timeout_s": (0.001, MONTH_S, (0,)),
    "backend.max_turns": (0, 1_000_000, ()),
    "backend.load_poll_s": (0, MONTH_S, ()),
    "speculation.candidates": (0, 1_000_000, ()),
    "speculation.chain_depth": (0, 1_000_000, ()),
    "speculation.min_probability": (0, 1, (1.01,)),
    "speculation.min_service_s": (0, MONTH_S, ()),
    "speculation.waste": (0, 1000, ()),
    "speculation.sample": (0, 1, (1.01,)),
    "http.targets.rate_reserve": (0, 1, (1.01,)),
    "speculation.slots": (0, 1_000_000, ()),
    **{
        f"speculation.budgets.{level}.{key}": (0, most, ())
        for level in ("overall", "tenant", "session", "tool")
        for key, most in (("concurrent", 10**6), ("per_minute", 10**6), ("price_per_hour", 10**9))
    },
    "limits.tool_runs": (1, 1_000_000, (0,)),
    "limits.tool_reserve": (0, 63, ()),
    "limits.queued_calls": (1, 1_000_000, (0,)),
    "limits.queued_turns": (1, 1_000_000, (0,)),
    "schedule.max_hold_s": (0.001, MONTH_S, (0,)),
    "schedule.keepalive_s": (0, MONTH_S, ()),
    "limits.clients": (0, 1_000_000, ()),
    "limits.staged_result_bytes": (1, 8 << 20, (0,)),
    "limits.staged_session_bytes": (1 << 20, 256 << 20, (0,)),
    "limits.staged_total_bytes": (8 << 20, 2**40, (0,)),
    "limits.sessions": (1, 1_000_000, (0,)),
    "limits.session_idle_s": (0.001, MONTH_S, (0,)),
    "limits.body_bytes": (1, 2**40, (0,)),
    "limits.arguments_bytes": (1, 2**40, (0,)),
}
"""The least and the largest value of each number, and what it may not be beside -1 and largest + 1."""


def numbers() -> Iterator[str]:
    yield from _numbers(msgspec.to_builtins(Config()), "")


def _numbers(section: dict[str, Any], prefix: str) -> Iterator[str]:
    for key, default in section.items():
        if isinstance(default, dict):
            yield from _numbers(default, f"{prefix}{key}.")
        elif isinstance(default, int | float) and not isinstance(default, bool):
            yield f"{prefix}{key}"


def with_value(folder: Path, path: str, value: Any) -> Path:
    *sections, key = path.split(".")
    reserve = ", tool_reserve: 0" if key == "tool_runs" else ""
    opened = "".join(f"{section}: {{" for section in sections)
    return written(folder, f"{opened}{key}: {value}{reserve}{'}' * len(sections)}")


def test_every_number_has_bounds() -> None:
    assert set(numbers()) == set(BOUNDS)


@pytest.mark.parametrize("path", BOUNDS)
def test_a_number_within_its_bounds_is_taken_and_no_other(tmp_path: Path, path: str) -> None:
    least, largest, refused = BOUNDS[path]
    for good in (least, largest):
        load_config(with_value(tmp_path, path, good))
    wrong: tuple[object, ...] = (-1, largest + 1, 10**30, ".nan", ".inf", "-.inf", *refused)
    for value in wrong:
        with pytest.raises(ConfigError, match=rf"limits\.staged|{path}: "):
            load_config(with_value(tmp_path, path, value))


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (Config(listen=ListenConfig(port=70000)), "listen.port"),
        (Config(listen=ListenConfig(host="")), "listen.host"),
        (Config(backend=BackendConfig(wait_s=float("nan"))), "backend.wait_s"),
    ],
)
def test_a_configuration_made_in_code_is_held_to_the_same_bounds(config: Config, key: str) -> None:
    check_config(Config())
    with pytest.raises(ConfigError, match=f"^{key}: ") as caught:
        check_config(config)
    assert caught.value.param == key


def test_off_is_a_word_and_true_a_truth(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "speculation: {mode: off}")).speculation.mode == "off"
    with pytest.raises(ConfigError, match="got `bool`"):
        load_config(written(tmp_path, "listen: {host: true}"))


def test_a_key_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="key `listen` occurs twice, first in line 1"):
        load_config(written(tmp_path, "listen: {port: 1}\nlisten: {port: 2}"))


def test_paths_in_a_plugin_s_options_count_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "note.txt").write_text("found")
    text = "plugins: [{entry_point: files, options: {root: data}}]"
    [plugin] = load_config(written(tmp_path, text)).plugins
    tools = {tool.spec.name: tool for tool in load_plugin(plugin)}
    assert tools["files_read"]("note.txt")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("client_tools: {ok: {writes: []}, bash: {write: []}}", "client_tools.bash"),
        ("client_tools: {bash: {writes: [1]}}", "client_tools.bash.writes[0]"),
        ("speculation: {network: {fetch: {hosts: x}}}", "speculation.network.fetch.hosts"),
        ("client_tools: {}\ntenants: {a: {keys: []}, b: {key: x}}", "tenants.b"),
        ("tenants: {fine: {keys: []}, a b: {keys: []}}", "tenants: 'a b' is no name for one"),
        ("http_tools: {a.b: {url: http://x/}}", "http_tools: 'a.b' is no name for one"),
    ],
)
def test_errors_in_a_mapping_name_the_entry(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, text))
    assert f" {key}: " in caught.value.message
    assert "regex" not in caught.value.message


@pytest.mark.parametrize(
    ("section", "key", "reason"),
    [
        ("a b: {command: x}", "mcp_servers.a b", "letters, digits"),
        ("a: {}", "mcp_servers.a.command", "either `command` (and `args`) or `url`"),
        ("a: {command: x, url: 'http://x'}", "mcp_servers.a.command", "either"),
        ("a: {url: x}", "mcp_servers.a.url", "no http:// or https:// address"),
        ("a: {url: 'http://'}", "mcp_servers.a.url", "no http:// or https:// address"),
        ("a: {url: 'http://h:99999/'}", "mcp_servers.a.url", "no http:// or https:// address"),
        ("a: {url: 'http://[h/'}", "mcp_servers.a.url", "no http:// or https:// address"),
        ("a: {url: 'http://x', env: {A: b}}", "mcp_servers.a.env", "of no use with `url`"),
        ("a: {command: x, headers: {A: b}}", "mcp_servers.a.headers", "of no use with `command`"),
        (
            "a: {command: x, read: [t], tools: {t: {writes: [w]}}}",
            "mcp_servers.a.tools.t.writes",
            "listed in `read`",
        ),
        ("a: {command: x, read: [t], exclude: [t]}", "mcp_servers.a.read", "t is not offered"),
        ("a: {command: x, include: [u], tools: {t: {}}}", "mcp_servers.a.tools", "t is not offered"),
    ],
)
def test_a_server_that_can_not_be_meant_is_refused(tmp_path: Path, section: str, key: str, reason: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"mcp_servers:\n  {section}\n")
    with pytest.raises(ConfigError, match=rf"{re.escape(key)}: .*{re.escape(reason)}"):
        load_config(path)


def test_the_folder_of_a_server_counts_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("mcp_servers: {a: {command: x, cwd: sub}, b: {command: x}, c: {url: 'http://x'}}")
    servers = load_config(path).mcp_servers
    assert [servers[name].cwd for name in "abc"] == [str(tmp_path / "sub"), str(tmp_path), ""]


def test_a_host_may_be_written_in_every_way_that_can_be_met(tmp_path: Path) -> None:
    hosts = ["*", "localhost", "docs.python.org", "*.Python.org", "127.0.0.1", "::1", "fe80::1", "ü.example"]
    text = f"speculation: {{network: {{f: {{hosts: {hosts}}}}}}}"
    assert load_config(written(tmp_path, text)).speculation.network["f"].hosts == tuple(hosts)
