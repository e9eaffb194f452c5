"""Checkpoints from elsewhere, offered with `--adapters`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinker_local.errors import StartupError
from tinker_local.server.launch import ServeOptions, launch


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path):
    """Before anything is loaded, in a sentence that names it."""
    options = ServeOptions(
        base_models=["symptoms-base"],
        host="127.0.0.1",
        port=0,
        api_key="tml-key",
        allowed_hosts=[],
        home=tmp_path,
        adapters=[tmp_path / "nowhere"],
        exports=None,
        dtype="auto",
        device="cpu",
        stop_with_stdin=False,
    )
    with pytest.raises(StartupError, match=r"There is no folder .*nowhere; --adapters takes"):
        launch(options)
