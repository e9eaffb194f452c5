"""A folder's tokenizer.json."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from tinker_local.errors import StartupError
from tinker_local.loading.json_file import read_json, shown

PROBE = "a"


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
        own = tokenizer.encode(PROBE, add_special_tokens=False).ids
        begun = tokenizer.encode(PROBE, add_special_tokens=True).ids
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
    _refuse_end(tokenizer, own, begun, file)
    return tokenizer


def _refuse_end(tokenizer: Tokenizer, own: list[int], begun: list[int], file: Path) -> None:
    """Raise StartupError where every text gets an end, which would stand between prompt and answer."""
    starts = [at for at in range(len(begun) - len(own) + 1) if begun[at : at + len(own)] == own]
    if not own or not starts:
        raise StartupError(f"{file} makes nothing of the letter {PROBE}; choose another model.")
    after = begun[starts[-1] + len(own) :]
    if after:
        raise StartupError(
            f"{file} ends every text with {shown(str(tokenizer.id_to_token(after[0])))}, which would stand "
            "between prompt and answer; take it out of the file's post_processor, or choose another model."
        )
    settings = file.parent / "tokenizer_config.json"
    # transformers 5 goes by tokenizer.json alone, and transformers 4 by this as well.
    if settings.exists() and read_json(settings).get("add_eos_token"):
        raise StartupError(
            f"{settings} sets add_eos_token, which would put an end token between prompt and answer; set it "
            "to false."
        )
