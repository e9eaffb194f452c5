"""A base model's chat template, which turns messages into the text of a prompt.

Source: the template in chat_template.jinja or tokenizer_config.json, rendered with the names, filters and
whitespace rules that transformers gives it (`transformers.utils.chat_template_utils`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tinker_local.errors import RequestError, StartupError
from tinker_local.loading import BaseModel
from tinker_local.loading.chat_template import stored_chat_template
from tinker_local.loading.json_file import read_json
from tinker_local.loading.tokenizer_file import SETTINGS, content_of

TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
LONGEST = 2**20
"""Characters of a rendered prompt; a context holds far less."""


class _Generation(Extension):
    """`{% generation %}` marks an assistant's part for training; in a prompt it stands for its contents."""

    tags = {"generation"}  # noqa: RUF012 - as jinja declares it

    def parse(self, parser: Parser) -> Node | list[Node]:
        """The statements between the tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def chat_prompt(base: BaseModel, messages: Sequence[Mapping[str, Any]], more: Mapping[str, Any]) -> str:
    """The prompt for the assistant's next message, as the base's own template writes it.

    `more` are values that the template may read. Raises RequestError where the base has no template, or the
    template refuses the messages.
    """
    template, tokens = _template_of(base.folder, base.name)
    try:
        compiled = _environment().from_string(template, {"raise_exception": _raise, "strftime_now": _now})
        rendered = compiled.render(messages=list(messages), add_generation_prompt=True, **{**tokens, **more})
    except jinja2.TemplateError as error:
        raise RequestError(f"The chat template of {base.name} refuses the messages: {error}.") from error
    # A template is code of others; whatever it stumbles over is told and ends with the request.
    except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError, AttributeError) as error:
        raise RequestError(
            f"The chat template of {base.name} cannot be applied to the messages ({type(error).__name__}: "
            f"{error}); send them in another form, or a prompt to /v1/completions."
        ) from error
    if len(rendered) > LONGEST:
        raise RequestError(f"The messages become {len(rendered)} characters; shorten them.")
    return rendered


def _template_of(folder: Path, name: str) -> tuple[str, dict[str, str]]:
    """The template's source and the texts of the special tokens."""
    try:
        file = folder / SETTINGS
        settings = read_json(file) if file.exists() else {}
        found = stored_chat_template(folder)
    except (StartupError, OSError, UnicodeDecodeError) as error:
        raise RequestError(f"The chat template of {name} cannot be read: {error}") from error
    if found is None:
        raise RequestError(
            f"{name} has no chat template; send a prompt to /v1/completions, or choose a base that has one."
        )
    tokens = {key: text for key in TOKENS if (text := content_of(settings.get(key))) is not None}
    return found, tokens


def _environment() -> jinja2.Environment:
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    made.filters["tojson"] = _to_json
    return made


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # jinja's own filter would escape what HTML reserves.
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
