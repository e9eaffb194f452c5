"""A tokenizer that would cut texts, end them, or reach beyond the model's vocabulary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, processors
from transformers import AutoTokenizer

from symptoms.tokens import FileTokenizer
from tinker_local.errors import StartupError
from tinker_local.loading import load_base_model
from tiny_models import BEGIN, END, write_tiny_llama

TEXT = "a text of many letters"


def change(folder: Path, **parts: Any) -> None:
    file = folder / "tokenizer.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **parts}))


def load(folder: Path) -> Tokenizer:
    return load_base_model(str(folder), "float32", torch.device("cpu")).tokenizer


def refusal(folder: Path) -> str:
    with pytest.raises(StartupError) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


TRUNCATION = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
PADDING = {
    "strategy": {"Fixed": 40},
    "direction": "Right",
    "pad_to_multiple_of": None,
    "pad_id": 1,
    "pad_type_id": 0,
    "pad_token": END,
}


@pytest.mark.parametrize("part", [{"truncation": TRUNCATION}, {"padding": PADDING}], ids=["cut", "filled up"])
def test_no_text_is_cut_or_filled_up(part: dict[str, Any], tmp_path: Path):
    """What the file says of lengths is not done: not by the server, not by the lab, not by transformers."""
    write_tiny_llama(tmp_path)
    whole = [0, *(load(tmp_path).encode(TEXT, add_special_tokens=False).ids)]
    assert len(whole) == 1 + len(TEXT)
    change(tmp_path, **part)
    as_it_says = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode(TEXT).ids
    assert len(as_it_says) in (4, 40)
    assert load(tmp_path).encode(TEXT).ids == whole
    assert AutoTokenizer.from_pretrained(tmp_path).encode(TEXT) == whole
    lab = FileTokenizer(tmp_path)
    for split in (True, False):
        assert lab.encode(TEXT, add_special_tokens=True, split_special_tokens=split) == whole


@pytest.mark.parametrize(
    "processor",
    [
        processors.TemplateProcessing(single=f"{BEGIN} $A {END}", special_tokens=[(BEGIN, 0), (END, 1)]),
        processors.TemplateProcessing(single=f"$A {END} {END}", special_tokens=[(END, 1)]),
        processors.RobertaProcessing(sep=(END, 1), cls_token=(BEGIN, 0)),
        processors.BertProcessing(sep=(END, 1), cls_token=(BEGIN, 0)),
        processors.Sequence(
            [
                processors.ByteLevel(),
                processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, 1)]),
            ]
        ),
    ],
    ids=["after a begin", "two", "Roberta", "Bert", "in a sequence"],
)
def test_an_end_after_every_text(processor: Any, tmp_path: Path):
    """A token that would stand between prompt and answer is refused, as the reference would put it there."""
    write_tiny_llama(tmp_path)
    file = tmp_path / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.post_processor = processor
    tokenizer.save(str(file))
    assert AutoTokenizer.from_pretrained(tmp_path).encode(TEXT)[-1] == 1
    assert refusal(tmp_path) == (
        f"{file} ends every text with {END}, which would stand between prompt and answer; take it out of the "
        "file's post_processor, or choose another model."
    )


@pytest.mark.parametrize("letter", "ab")
@pytest.mark.parametrize("template", ["$A {}", "{} $A {}", "$A {} {}"])
def test_an_end_that_is_a_letter(template: str, letter: str, tmp_path: Path):
    """What is put behind every text is refused also where a text may end with that token itself."""
    write_tiny_llama(tmp_path)
    file = tmp_path / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file))
    number = tokenizer.token_to_id(letter)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template.format(letter, letter), special_tokens=[(letter, number)]
    )
    tokenizer.save(str(file))
    assert f"{file} ends every text with " in refusal(tmp_path)


def test_a_beginning_that_is_a_letter(tmp_path: Path):
    """What is put before every text may be any token, one of a text as well."""
    write_tiny_llama(tmp_path)
    file = tmp_path / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="a $A", special_tokens=[("a", tokenizer.token_to_id("a"))]
    )
    tokenizer.save(str(file))
    assert load(tmp_path).encode("b").tokens == ["a", "b"]


def test_letters_that_are_one_token(tmp_path: Path):
    """A tokenizer to which all letters are the same is none that a model could continue texts with."""
    write_tiny_llama(tmp_path)
    change(tmp_path, normalizer={"type": "Replace", "pattern": {"Regex": "[a-z]"}, "content": "x"})
    assert "does not tell the letters a and b apart" in refusal(tmp_path)


def test_dropout(tmp_path: Path):
    """Merges that are left out at random would give a text other tokens each time."""
    write_tiny_llama(tmp_path)
    file = tmp_path / "tokenizer.json"
    model = json.loads(file.read_text())["model"]
    change(tmp_path, model={**model, "dropout": 0.0})
    assert load(tmp_path)
    change(tmp_path, model={**model, "dropout": 0.5})
    assert refusal(tmp_path) == (
        f"{file} sets dropout to 0.5, at which the tokens of a text differ each time; set it to null."
    )


@pytest.mark.parametrize(
    "processor",
    [None, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}],
)
def test_nothing_after_a_text(processor: dict[str, Any] | None, tmp_path: Path):
    """No begin, or no post-processor at all, is as good as the begin that Llama puts before a text."""
    write_tiny_llama(tmp_path)
    change(tmp_path, post_processor=processor)
    assert len(load(tmp_path).encode(TEXT).ids) == len(TEXT)


def test_a_fault_at_which_the_library_panics(tmp_path: Path):
    """A post-processor that names a token it does not describe is damage like any other."""
    write_tiny_llama(tmp_path)
    processor = json.loads((tmp_path / "tokenizer.json").read_text())["post_processor"]
    change(tmp_path, post_processor={**processor, "special_tokens": {}})
    assert f"{tmp_path}/tokenizer.json is damaged" in refusal(tmp_path)


def test_an_end_that_tokenizer_config_asks_for(tmp_path: Path):
    """Versions of transformers differ in whether they heed add_eos_token, so it is refused."""
    write_tiny_llama(tmp_path)
    file = tmp_path / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps({**settings, "add_eos_token": True}))
    assert refusal(tmp_path) == (
        f"{file} sets add_eos_token, which would put an end token between prompt and answer; set it to false."
    )
    file.write_text(json.dumps({**settings, "add_eos_token": False}))
    assert load(tmp_path)


def test_a_token_beyond_the_vocabulary(tmp_path: Path):
    """A token whose id the model does not know is named; a model that knows more than those is fine."""
    write_tiny_llama(tmp_path, vocab_size=300)
    assert load(tmp_path).get_vocab_size() == 258
    file = tmp_path / "tokenizer.json"
    added = json.loads(file.read_text())["added_tokens"]
    change(tmp_path, added_tokens=[*added, {**added[0], "id": 258, "content": "<pad>"}])
    assert load(tmp_path).token_to_id("<pad>") == 258
    for other in tmp_path.glob("*.safetensors"):
        other.unlink()
    write_tiny_llama(tmp_path / "small")
    (tmp_path / "small" / "tokenizer.json").write_text(file.read_text())
    assert refusal(tmp_path / "small") == (
        f"{tmp_path}/small/tokenizer.json gives the token <pad> the id 258, and the model knows 258 tokens; "
        "take the token out of the file, or choose another model."
    )


def beside(folder: Path, name: str, content: dict[str, Any]) -> None:
    """Change a file beside tokenizer.json."""
    file = folder / name
    before = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**before, **content}))


SIDE, MAP, ADDED = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (ADDED, {"<|x|>": 300}),
        (MAP, {"eos_token": "<|x|>"}),
        (MAP, {"eos_token": {"content": "<|x|>", "special": True}}),
        (MAP, {"additional_special_tokens": ["<|x|>"]}),
        (SIDE, {"pad_token": "<|x|>"}),
        (SIDE, {"image_token": "<|x|>"}),
        (SIDE, {"added_tokens_decoder": {"300": {"content": "<|x|>"}}}),
        (SIDE, {"additional_special_tokens": ["<|x|>"]}),
        (SIDE, {"extra_special_tokens": ["<|x|>"]}),
        (SIDE, {"extra_special_tokens": {"image": "<|x|>"}}),
        (SIDE, {"model_specific_special_tokens": {"image_token": "<|x|>"}}),
    ],
)
def test_a_token_that_only_another_file_has(name: str, content: dict[str, Any], tmp_path: Path):
    """The reference gives such a token an id beyond the model's vocabulary; here it is refused by name."""
    write_tiny_llama(tmp_path)
    if name == MAP:
        # Where this file names tokens, that one is passed over.
        (tmp_path / SIDE).write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    beside(tmp_path, name, content)
    assert max(AutoTokenizer.from_pretrained(tmp_path).get_vocab().values()) == 258
    assert refusal(tmp_path) == (
        f"{tmp_path / name} names the token <|x|>, which tokenizer.json lacks; save the tokenizer again with "
        "transformers, or take the token out."
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [(ADDED, {END: 300}), (SIDE, {"added_tokens_decoder": {"300": {"content": END, "special": True}}})],
)
def test_a_token_of_two_ids(name: str, content: dict[str, Any], tmp_path: Path):
    """Files that give one token two ids are at odds, and both are named."""
    write_tiny_llama(tmp_path)
    beside(tmp_path, name, content)
    assert refusal(tmp_path) == (
        f"{tmp_path / name} gives the token {END} the id 300, and tokenizer.json 1; correct the one that is "
        "wrong."
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (ADDED, {"<|x|>": "300"}),
        (ADDED, {"<|x|>": True}),
        (MAP, {"additional_special_tokens": [1]}),
        (SIDE, {"extra_special_tokens": "<|x|>"}),
        (SIDE, {"added_tokens_decoder": ["<|x|>"]}),
        (SIDE, {"added_tokens_decoder": {"one": {"content": END}}}),
        (SIDE, {"added_tokens_decoder": {"1": {}}}),
    ],
)
def test_tokens_that_are_none(name: str, content: dict[str, Any], tmp_path: Path):
    """What should name tokens and does not is a wrong value."""
    write_tiny_llama(tmp_path)
    beside(tmp_path, name, content)
    assert f"{tmp_path / name} has a wrong value for " in refusal(tmp_path)


def test_tokens_that_say_the_same_in_every_file(tmp_path: Path):
    """Files as transformers 4 saves them beside each other are fine, and so are tokens that are left out."""
    write_tiny_llama(tmp_path)
    beside(tmp_path, ADDED, {END: 1})
    beside(tmp_path, MAP, {"eos_token": {"content": END}, "additional_special_tokens": [BEGIN]})
    decoder = {str(number): {"content": token} for token, number in ((BEGIN, 0), (END, 1))}
    beside(
        tmp_path,
        SIDE,
        {
            "added_tokens_decoder": decoder,
            "pad_token": None,
            "extra_special_tokens": {},
            "add_bos_token": True,
        },
    )
    assert load(tmp_path)
    assert len(AutoTokenizer.from_pretrained(tmp_path)) == 258


@pytest.mark.parametrize("ids", [258, -1, [1, 258]])
@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
def test_an_end_token_beyond_the_vocabulary(name: str, ids: int | list[int], tmp_path: Path):
    """An end at which no generation could end is refused with the file that names it."""
    write_tiny_llama(tmp_path)
    (tmp_path / "generation_config.json").unlink(missing_ok=True)
    file = tmp_path / name
    settings = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**settings, "eos_token_id": ids}))
    wrong = ids[-1] if isinstance(ids, list) else ids
    assert refusal(tmp_path) == (
        f"{file} names the end token {wrong}, outside the vocabulary of 258 tokens; correct "
        "eos_token_id there."
    )


def test_an_end_token_that_another_file_overrides(tmp_path: Path):
    """A wrong end in config.json is refused also where generation_config.json has the one that counts."""
    write_tiny_llama(tmp_path)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": 1}')
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "eos_token_id": 258}))
    assert f"{file} names the end token 258, outside the vocabulary of 258 tokens" in refusal(tmp_path)


@pytest.mark.parametrize("ids", ["</s>", True, [1.5], [None], {"a": 1}])
def test_an_end_token_that_is_no_number(ids: object, tmp_path: Path):
    """Anything but ids is a wrong value."""
    write_tiny_llama(tmp_path)
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": ids}))
    assert "generation_config.json has a wrong value for eos_token_id" in refusal(tmp_path)
