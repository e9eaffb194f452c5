"""The help of all commands is shown without importing any of them, and says what they say."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from symptoms.cli.app import COMMANDS, app
from symptoms.cli.on_demand import Entry

SHOW_HELP = """
import sys
from symptoms.cli import main
sys.argv = ["symptoms", "--help"]
try:
    main()
except SystemExit:
    pass
print(*sys.modules, file=sys.stderr)
"""


def test_the_help_needs_none_of_the_commands():
    """Neither the lab's layers nor numpy are imported for it."""
    done = subprocess.run([sys.executable, "-c", SHOW_HELP], capture_output=True, text=True, check=True)
    assert "assess" in done.stdout
    loaded = set(done.stderr.split())
    assert "symptoms.cli.app" in loaded
    assert not loaded & {"numpy", "tinker", "symptoms.data", "symptoms.service", "symptoms.safety"}
    assert not [name for name in loaded if name.startswith("symptoms.cli.commands")]


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_the_list_says_what_the_command_says_of_itself(entry: Entry):
    """The summary in the list of commands is the beginning of its own help, word for word."""
    command = entry.loaded()
    assert command.name == entry.name
    first = inspect.cleandoc(command.help or "").split("\n\n")[0]
    assert " ".join(first.split()) == entry.summary


def test_a_misspelt_command_is_answered_with_the_one_that_is_meant():
    """The names are known without the commands."""
    done = CliRunner().invoke(app, ["asess"])
    assert done.exit_code == 2
    assert "assess" in done.output
