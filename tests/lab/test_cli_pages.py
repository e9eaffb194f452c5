"""The commands' own help, docs/cli.md, and completion in shells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from base_models import DEFAULT_BASE, known_models
from conftest import ROOT
from help_pages import BEGIN, every_command, undocumented, with_help_pages
from symptoms.errors import InputError
from symptoms.settings import TrainingSettings


def test_every_command_and_option_is_documented():
    """Each has help of its own."""
    assert undocumented() == []
    assert {"symptoms assess", "symptoms doctor", "symptoms data check"} <= {
        name for name, _ in every_command()
    }


def test_help_tells_the_recommended_settings_beside_the_defaults():
    """Each setting that is another one on the default base is told with both, by train and by sweep."""
    for name in ("symptoms train", "symptoms sweep"):
        options = {one.name: getattr(one, "help", None) for one in dict(every_command())[name].params}
        for setting, value in known_models()[DEFAULT_BASE].data_sets.items():
            default = TrainingSettings.model_fields[setting].default
            if value != default:
                assert f"[default: {default}; {value} on {DEFAULT_BASE}]" in options[setting]
        assert "[default: 0.9]" in options["adam_beta1"]


def test_the_page_of_commands_is_up_to_date():
    """docs/cli.md is what `make cli-docs` writes."""
    page = (ROOT / "docs" / "cli.md").read_text()
    assert with_help_pages(page) == page, "run 'make cli-docs'"


def test_a_page_without_its_marker_is_refused():
    """Nothing is overwritten by chance."""
    assert with_help_pages(f"head\n{BEGIN}old").startswith(f"head\n{BEGIN}\n## symptoms\n")
    with pytest.raises(InputError, match="has no line"):
        with_help_pages("head\n")


def test_a_shell_can_complete_commands(tmp_path: Path):
    """Bash is told the commands that begin with what was typed."""
    done = subprocess.run(
        [Path(sys.executable).parent / "symptoms"],
        cwd=tmp_path,
        env={
            **os.environ,
            "_SYMPTOMS_COMPLETE": "complete_bash",
            "COMP_WORDS": "symptoms ass",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["assess"]


def test_help_loads_nothing_that_computes_or_asks():
    """Numbers, tokenizers and the network are for commands that use them; help does not wait for them."""
    program = (
        "import sys, symptoms.cli; "
        "print(*[name for name in ('numpy', 'httpx', 'tinker', 'scipy', 'matplotlib', 'tokenizers') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
