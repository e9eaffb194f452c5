"""How a command ends when it does not end well.

Exit codes: 0 done, 1 could not be done, 2 the input is wrong, 3 the service cannot be used,
130 interrupted.
"""

import gc
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

import typer

from base_models import BaseModelError, readable
from symptoms.errors import ServiceError, SymptomsError

INTERRUPTED = 130


@contextmanager
def exit_with_a_sentence() -> Generator[None, None, None]:
    """Turn the errors that users can act on into a sentence on stderr and an exit code."""
    try:
        yield
    except SymptomsError as error:
        typer.echo(readable(str(error)), err=True)
        sys.exit(error.exit_code)
    except BaseModelError as error:
        typer.echo(readable(str(error)), err=True)
        sys.exit(SymptomsError.exit_code)
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except Exception as error:
        reported = _reported(error)
        if reported is None:
            raise
        typer.echo(readable(reported), err=True)
        sys.exit(ServiceError.exit_code)
    finally:
        # Nothing is left to be collected, and looking through the SDK's objects takes half a second.
        gc.freeze()


@contextmanager
def going_on_with(command: str) -> Generator[None, None, None]:
    """Have what is wrong with the service end with the command that goes on from there."""
    try:
        yield
    except ServiceError as error:
        raise ServiceError(f"{str(error).rstrip('.')}; go on with: {command}") from error
    except Exception as error:
        reported = _reported(error)
        if reported is None:
            raise
        raise ServiceError(f"{reported.rstrip('.')}; go on with: {command}") from error


def _reported(error: Exception) -> str | None:
    """What the service said, without what the SDK puts around it; None for errors that are not the SDK's."""
    # They can be told apart only once the SDK was imported, which takes seconds.
    tinker = sys.modules.get("tinker")
    if tinker is None or not isinstance(error, tinker.TinkerError):
        return None
    body = getattr(error, "body", None)
    detail = cast(dict[str, object], body).get("detail") if isinstance(body, dict) else None
    said = str(error).removeprefix("Request failed: ").split(" for self.request_id=")[0]
    return f"The Tinker service reports: {detail if isinstance(detail, str) else said}"
