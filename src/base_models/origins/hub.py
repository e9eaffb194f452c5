"""Models by their name on the model hub, downloaded once into the hub's own cache."""

from __future__ import annotations

from pathlib import Path

from base_models.errors import BaseModelError

# Some repositories hold the same weights a second time, as consolidated.safetensors.
HUB_FILES = ["*.json", "model*.safetensors", "tokenizer.model"]


def is_hub_name(name: str) -> bool:
    """Whether a model's name has the form `org/model`."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


def download(name: str) -> Path:
    """The folder of a repository's model in the hub's cache; raises BaseModelError where it cannot be had."""
    from huggingface_hub import snapshot_download  # pyright: ignore[reportUnknownVariableType]
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        HTTPError,  # pyright: ignore[reportPrivateImportUsage]
        RepositoryNotFoundError,
    )

    try:
        return Path(snapshot_download(name, allow_patterns=HUB_FILES))
    except GatedRepoError as error:
        raise BaseModelError(
            f"{name} is gated: accept its licence on the model hub and run 'hf auth login'."
        ) from error
    except RepositoryNotFoundError as error:
        raise BaseModelError(
            f"The model hub has no {name}; check the name, or log in if it is private."
        ) from error
    except HFValidationError as error:
        raise BaseModelError(
            f"{name!r} is neither a folder on this machine nor a name that the model hub allows."
        ) from error
    except (HTTPError, OSError) as error:
        # LocalEntryNotFoundError is an OSError. What the HTTP library raises is caught under the name by
        # which the hub's client has it, since its versions differ in the library that they use.
        raise BaseModelError(
            f"{name} is neither on this machine nor reachable on the model hub; give a local path instead."
        ) from error


def cached(repository: str, commit: str) -> Path | None:
    """The folder of one commit in the hub's cache, None where it is not there; asks no network."""
    from huggingface_hub import snapshot_download  # pyright: ignore[reportUnknownVariableType]
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(
            repository, revision=commit, allow_patterns=HUB_FILES, local_files_only=True
        )
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    return Path(found)
