"""Examples as coloured tokens: what the model reads, and what it learns to write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from symptoms.data import Example, load_dataset, naming_its_concern_alone
from symptoms.data.files.records import Columns
from symptoms.tokens import TokenizedExample, Tokenizer, check_lengths, tokenize
from symptoms.words import counted

TRAINED = ("black on #8fd19e", "black on #b5e2be")
READ = ("grey70 on grey19", "grey70 on grey27")


@dataclass(frozen=True)
class Shown:
    """The examples of a data file, and the base model that it names itself, if it does."""

    path: Path
    examples: tuple[Example, ...]
    base_model: str | None


def examples_to_show(path: Path, columns: Columns) -> Shown:
    """All examples of any data file as they are trained on; of one without advice the concern alone.

    Raises DataError with every fault in the file.
    """
    dataset = load_dataset(path, columns=columns, any_output=True)
    examples = [one if one.has_text_to_train else naming_its_concern_alone(one) for one in dataset.examples]
    base_model = dataset.experiment.settings.base_model if dataset.experiment else None
    return Shown(path, tuple(examples), base_model)


def print_examples(
    console: Console, shown: Shown, chosen: int | None, tokenizer: Tokenizer, context: int | None
) -> None:
    """Print the chosen example, or all; then the counts. Raises DataError for examples that are too long."""
    tokenized = [tokenize(tokenizer, example) for example in shown.examples]
    for number, example in enumerate(tokenized, start=1):
        if chosen is None or number == chosen:
            line = shown.examples[number - 1].line
            console.print(
                f"example {number} (line {line}): {counted(example.num_tokens, 'token')}, "
                f"{example.num_trained_tokens} trained",
                style="bold",
                highlight=False,
            )
            console.print(coloured(tokenizer, example, plain=not console.is_terminal), soft_wrap=True)
            console.print()
    total = sum(example.num_tokens for example in tokenized)
    trained = sum(example.num_trained_tokens for example in tokenized)
    longest = max(example.num_tokens for example in tokenized)
    console.print(
        f"{counted(len(tokenized), 'example')}, {counted(total, 'token')}, {trained:,} trained "
        f"({trained / total:.0%}); "
        f"the longest has {counted(longest, 'token')} of the context's {context or 'unknown length'}.",
        highlight=False,
    )
    legend = Text.assemble((" weight 0 ", READ[0]), " read only   ", (" weight 1 ", TRAINED[0]), " trained")
    if console.is_terminal:
        console.print(legend)
    else:
        console.print("Between [[ and ]]: weight 1, trained. Before it: weight 0, read only.", markup=False)
    check_lengths(shown.path, shown.examples, tokenized, context)


def coloured(tokenizer: Tokenizer, example: TokenizedExample, plain: bool) -> Text:
    """One example's tokens; neighbours differ in shade, line breaks are shown as a mark.

    Without colours, `|` stands between tokens and the trained part is put in double brackets.
    """
    text = Text()
    trained_before = False
    for index, (token, weight) in enumerate(zip(example.tokens, example.weights, strict=True)):
        piece = str(tokenizer.decode([token], skip_special_tokens=False))
        shown = piece.replace("\n", "⏎")
        trained = weight > 0
        if plain:
            text.append("[[" if trained and not trained_before else "|" if index else "")
            text.append(shown)
        else:
            text.append(shown, style=(TRAINED if trained else READ)[index % 2])
            text.append("\n" * piece.count("\n"))
        trained_before = trained
    # The stop's line breaks are shown as marks; as breaks they would only leave a gap.
    text.rstrip()
    if plain:
        text.append("]]")
    return text
