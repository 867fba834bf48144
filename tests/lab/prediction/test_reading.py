"""Which calls are counted as reads."""

import pytest

from paste_proxy.lab.prediction.reading import COMMAND_LIMIT, load_reading


@pytest.mark.parametrize(
    ("tool", "reads"),
    [
        ("get_user", True),
        ("web_search", True),
        ("mcp__docs__read_page", True),
        ("Grep", True),
        ("update_user", False),
        ("run_query", False),
        ("TodoWrite", False),
        ("", False),
    ],
)
def test_tools_are_judged_by_their_names(tool: str, reads: bool) -> None:
    assert load_reading().only_reads(tool, {"command": "rm -r ."}) is reads


@pytest.mark.parametrize(
    ("command", "reads"),
    [
        ("ls", True),
        ("cd /a && grep -rn 'x > y' src | head -5; git log --oneline", True),
        ("cat a 2>&1\nsed -n '1,5p' b 2>/dev/null", True),
        ("/usr/bin/find . -name '*.py' || true", True),
        ("", False),
        ("python run.py", False),
        ("cat a > b", False),
        ("grep x a >>b", False),
        ("cat > a <<EOF\nx\nEOF", False),
        ("sed -i s/a/b/ c", False),
        ("find . -name a -delete", False),
        ("ls && rm a", False),
        ("ls $(rm a)", False),
        ("echo `rm a`", False),
        ("git commit -m x", False),
        ("git", False),
        ("echo 'not closed", False),
        ("ls # " + "x" * COMMAND_LIMIT, False),
    ],
)
def test_a_shell_s_command_is_judged_by_its_programs(command: str, reads: bool) -> None:
    assert load_reading().only_reads("execute_bash", {"command": command}) is reads
    assert load_reading().only_reads("Bash", {"cmd": command, "command": 7}) is reads


def test_a_shell_without_a_command_is_judged_by_its_name() -> None:
    assert load_reading().only_reads("read_terminal", {})
    assert not load_reading().only_reads("bash", {"command": ["ls"]})
