"""A folder's tokenizer.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from tokenizers import Tokenizer

from tinker_local.errors import StartupError
from tinker_local.loading.json_file import read_json, shown

PROBES = ("a", "b")
"""Two texts whose tokens differ, which shows where in an encoding the text lies."""
ADDED, NAMED, SETTINGS = "added_tokens.json", "special_tokens_map.json", "tokenizer_config.json"
"""The files beside it from which transformers takes tokens as well."""
_TOKEN_LISTS = ("additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens")


def read_tokenizer(folder: Path, vocab_size: int) -> Tokenizer:
    """The tokenizer of a folder, for a model that knows so many tokens.

    Raises StartupError where there is none, it is damaged, or it does not fit a model that continues texts.
    Whatever the file says of truncation and padding, it cuts and fills up nothing; transformers switches both
    off for every text as well.
    """
    file = folder / "tokenizer.json"
    if not file.exists():
        raise StartupError(f"{folder} has no tokenizer.json; save the model's fast tokenizer there.")
    try:
        tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        dropout: Any = getattr(tokenizer.model, "dropout", None)
        own = [tokenizer.encode(probe, add_special_tokens=False).ids for probe in PROBES]
        begun = [tokenizer.encode(probe, add_special_tokens=True).ids for probe in PROBES]
    # The library raises a bare Exception for any fault in the file, and for some a panic of Rust, which is no
    # Exception and has no name to catch it by.
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise StartupError(f"{file} is damaged ({error}); save the tokenizer again.") from error
    for token, number in vocabulary.items():
        if number >= vocab_size:
            raise StartupError(
                f"{file} gives the token {shown(token)} the id {number}, and the model knows {vocab_size} "
                "tokens; take the token out of the file, or choose another model."
            )
    if dropout:
        raise StartupError(
            f"{file} sets dropout to {dropout}, at which the tokens of a text differ each time; set it to "
            "null."
        )
    _refuse_tokens_beside(folder, vocabulary)
    _refuse_end(tokenizer, own, begun, file)
    return tokenizer


def _refuse_tokens_beside(folder: Path, vocabulary: Mapping[str, int]) -> None:
    """Raise StartupError for a token that transformers would add, or give another id, by the other files.

    It reads added_tokens.json and special_tokens_map.json where tokenizer_config.json does not say all.
    """
    for name in (ADDED, NAMED, SETTINGS):
        file = folder / name
        if not file.exists():
            continue
        for token, number in _tokens_beside(file):
            if token not in vocabulary:
                raise StartupError(
                    f"{file} names the token {shown(token)}, which tokenizer.json lacks; save the tokenizer "
                    "again with transformers, or take the token out."
                )
            if number is not None and number != vocabulary[token]:
                raise StartupError(
                    f"{file} gives the token {shown(token)} the id {number}, and tokenizer.json "
                    f"{vocabulary[token]}; correct the one that is wrong."
                )


def _tokens_beside(file: Path) -> Iterator[tuple[str, int | None]]:
    """The tokens that a file names, each with its id where it says one."""
    settings = read_json(file)
    if file.name == ADDED:
        for token, number in settings.items():
            if type(number) is not int:
                raise _wrong_value(file, token)
            yield token, number
        return
    for key, value in settings.items():
        if key in _TOKEN_LISTS:
            yield from ((token, None) for token in _token_list(file, key, value))
        elif key == "added_tokens_decoder":
            if not isinstance(value, dict):
                raise _wrong_value(file, key)
            for number, token in cast(dict[str, Any], value).items():
                content = content_of(token)
                if content is None or not number.isdecimal():
                    raise _wrong_value(file, key)
                yield content, int(number)
        # Such as eos_token, and image_token of those who add their own; add_bos_token is a switch.
        elif key.endswith("_token") and content_of(value):
            yield cast(str, content_of(value)), None


def _token_list(file: Path, key: str, value: Any) -> list[str]:
    """The tokens of a list, or of an object that gives each a name."""
    if value is None:
        return []
    if not isinstance(value, list | dict):
        raise _wrong_value(file, key)
    given = cast(list[Any], list(cast(dict[str, Any], value).values()) if isinstance(value, dict) else value)
    tokens = [content_of(token) for token in given]
    if None in tokens:
        raise _wrong_value(file, key)
    return cast(list[str], tokens)


def content_of(token: Any) -> str | None:
    """A token that is written as it is or as an object with its properties; None for anything else."""
    content = cast(dict[str, Any], token).get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else None


def _wrong_value(file: Path, key: str) -> StartupError:
    return StartupError(f"{file} has a wrong value for {shown(key)}; it may be damaged.")


def _refuse_end(tokenizer: Tokenizer, own: list[list[int]], begun: list[list[int]], file: Path) -> None:
    """Raise StartupError where every text gets an end, which would stand between prompt and answer.

    `own` are the tokens of the probes alone, `begun` those with what is put around every text.
    """
    # What stands before the text is the same for both, and so the text begins where they differ. Looking for
    # its tokens would take an end of the same token for the text.
    shared = _shared(*own)
    start = _shared(*begun) - shared
    text = begun[0][start : start + len(own[0])]
    if shared == min(map(len, own)) or start < 0 or text != own[0]:
        raise StartupError(
            f"{file} does not tell the letters {' and '.join(PROBES)} apart; choose another model."
        )
    after = begun[0][start + len(own[0]) :]
    if after:
        raise StartupError(
            f"{file} ends every text with {shown(str(tokenizer.id_to_token(after[0])))}, which would stand "
            "between prompt and answer; take it out of the file's post_processor, or choose another model."
        )
    settings = file.parent / SETTINGS
    # transformers 5 goes by tokenizer.json alone, and transformers 4 by this as well.
    if settings.exists() and read_json(settings).get("add_eos_token"):
        raise StartupError(
            f"{settings} sets add_eos_token, which would put an end token between prompt and answer; set it "
            "to false."
        )


def _shared(first: list[int], second: list[int]) -> int:
    """How many tokens two encodings begin with alike."""
    differing = (at for at, (one, other) in enumerate(zip(first, second, strict=False)) if one != other)
    return next(differing, min(len(first), len(second)))
