"""Options that several commands share, and those that a configuration has by itself."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

import typer

from base_models import DEFAULT_BASE, known_models
from symptoms.settings import TrainingSettings

ServiceOption = Annotated[
    str | None,
    typer.Option(
        help="local, hosted, or the address of a Tinker-compatible server; hosted when a key is set."
    ),
]
BaseModelOption = Annotated[
    str | None, typer.Option(help="Base model by name, or a local path; locally smollm2-135m.")
]

TextColumnOption = Annotated[
    str | None, typer.Option("--text-column", help="The column with the text, if not input.")
]
LabelColumnOption = Annotated[
    str | None, typer.Option("--label-column", help="The column with the label, if not condition.")
]


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """A command with an option for every described field of TrainingSettings.

    Those that were given reach the command together, as its keyword argument `settings`.
    """
    names = dict.fromkeys([*TrainingSettings.__annotations__, *TrainingSettings.model_fields])
    every = {
        name: TrainingSettings.model_fields[name] for name in names if name in TrainingSettings.model_fields
    }
    fields = {name: field for name, field in every.items() if field.description}
    own = inspect.signature(command, eval_str=True).parameters

    def wrapped(**arguments: Any) -> None:
        given = {name: arguments.pop(name) for name in fields}
        command(settings={name: value for name, value in given.items() if value is not None}, **arguments)

    parameters = [parameter for name, parameter in own.items() if name != "settings"]
    for name, field in fields.items():
        known = "" if field.is_required() else _defaults(name, field.default)
        # Typer takes no choices in lists, so the configuration checks them.
        is_list = get_origin(field.annotation) is list
        kind: Any = list[str] if is_list else field.annotation
        choices = ("|".join(get_args(get_args(field.annotation)[0])) if is_list else "") or None
        option = Annotated[kind | None, typer.Option(help=f"{field.description}{known}", metavar=choices)]
        parameters.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        )
    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    # Typer reads the options of a command from its signature.
    setattr(wrapped, "__signature__", inspect.Signature(parameters))  # noqa: B010
    return wrapped


def _defaults(name: str, default: Any) -> str:
    """What a setting is where it is not told, and what it then is for a data set on the default base."""
    known = [] if default in (None, []) else [f"{default}"]
    default_base = known_models().get(DEFAULT_BASE)
    suited = default_base.data_sets if default_base else {}
    if name in suited and suited[name] != default:
        known.append(f"{suited[name]} on {DEFAULT_BASE}")
    return f" [default: {'; '.join(known)}]" if known else ""
