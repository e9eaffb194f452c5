"""A tokenizer that is read from its file alone, without the seconds that importing transformers takes."""

from collections.abc import Sequence
from pathlib import Path


class FileTokenizer:
    """A tokenizer.json that says all there is to say about its tokenizer, as the bundled base's does.

    Other models' tokenizers go by further files, which transformers knows how to read (`is_whole_tokenizer`).
    """

    def __init__(self, folder: Path) -> None:
        """Raises OSError where the folder holds no tokenizer.json."""
        import tokenizers

        text = (folder / "tokenizer.json").read_text(encoding="utf-8")
        self._plain = tokenizers.Tokenizer.from_str(text)
        self._plain.encode_special_tokens = True
        self._marked = tokenizers.Tokenizer.from_str(text)
        for tokenizer in (self._plain, self._marked):
            # As transformers does for every text, whatever the file says: an example is never cut in silence.
            tokenizer.no_truncation()
            tokenizer.no_padding()

    def encode(self, text: str, *, add_special_tokens: bool, split_special_tokens: bool) -> list[int]:
        """Token ids; split, a control token that is spelled out in the text is read as the text it is."""
        chosen = self._plain if split_special_tokens else self._marked
        return chosen.encode(text, add_special_tokens=add_special_tokens).ids

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """The text of token ids."""
        return self._marked.decode(list(token_ids), skip_special_tokens=skip_special_tokens)
