"""GGUF files as they lie on disk: found, whole or in parts, damaged."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFEndian, GGUFReader, GGUFValueType, GGUFWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from tinker_local.errors import StartupError
from tinker_local.loading.gguf.conversion import read_gguf
from tinker_local.loading.gguf.file import open_gguf
from tinker_local.loading.gguf.header import read_part
from tinker_local.loading.gguf.paths import find_gguf
from tiny_gguf import gguf_fields, gguf_tensors, tiny_model, write_tiny_gguf


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole tiny model."""
    folder = tmp_path_factory.mktemp("whole")
    model = tiny_model(folder / "reference", "LlamaForCausalLM", num_hidden_layers=1)
    write_tiny_gguf(folder / "tiny.gguf", model, GGMLQuantizationType.Q8_0)
    return folder / "tiny.gguf"


@pytest.fixture
def parts(whole: Path, tmp_path: Path) -> list[Path]:
    """The same model in several parts."""
    model = tiny_model(whole.parent / "reference", "LlamaForCausalLM", num_hidden_layers=1)
    write_tiny_gguf(tmp_path / "tiny.gguf", model, split_max_tensors=4)
    found = sorted(tmp_path.glob("*.gguf"))
    assert len(found) == 3
    return found


def refusal(action: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(StartupError) as caught:
        action(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_one(file: Path, fields: dict[str, tuple[Any, GGUFValueType]] | None = None, **options: Any) -> None:
    """A file with some keys and one tensor of eight numbers."""
    writer = GGUFWriter(file, "llama", **options)
    for key, (value, kind) in (fields or {}).items():
        writer.add_key_value(key, value, kind)
    writer.add_tensor("numbers", np.arange(8, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_model_is_what_the_library_reads(whole: Path):
    """Keys, shapes, types and bytes are those of the library's own reader."""
    ours, theirs = open_gguf(whole), GGUFReader(whole)
    expected = {k: field.contents() for k, field in theirs.fields.items() if not k.startswith("GGUF.")}
    assert ours.fields == expected
    assert ours.paths == (whole,)
    assert list(ours.tensors) == [tensor.name for tensor in theirs.tensors]
    for tensor in theirs.tensors:
        mine = ours.tensors[tensor.name]
        assert (mine.shape[::-1], mine.kind) == (tuple(tensor.shape.tolist()), tensor.tensor_type)
        assert mine.data.tobytes() == tensor.data.tobytes()


WHOLE_NUMBERS = {
    kind: (np.iinfo(kind.name.lower()).min, np.iinfo(kind.name.lower()).max)
    for kind in GGUFValueType
    if "INT" in kind.name
}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.one_of(
    *(st.tuples(st.integers(*limits), st.just(kind)) for kind, limits in WHOLE_NUMBERS.items()),
    st.tuples(st.floats(width=32, allow_nan=False), st.just(GGUFValueType.FLOAT32)),
    st.tuples(st.floats(allow_nan=False), st.just(GGUFValueType.FLOAT64)),
    st.tuples(st.booleans(), st.just(GGUFValueType.BOOL)),
    st.tuples(TEXT, st.just(GGUFValueType.STRING)),
)
ARRAYS = st.one_of(
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=9),
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=9),
    st.lists(st.booleans(), min_size=1, max_size=9),
    st.lists(TEXT, min_size=1, max_size=9),
).map(lambda values: (values, GGUFValueType.ARRAY))


@settings(max_examples=50)
@given(fields=st.dictionaries(TEXT.map("x.{}".format), SCALARS | ARRAYS, max_size=8))
def test_every_type_of_value(fields: dict[str, tuple[Any, GGUFValueType]], tmp_path_factory: Any):
    """Whatever keys a writer puts into a file, the same values of the same Python types are read."""
    file = tmp_path_factory.getbasetemp() / "values.gguf"
    write_one(file, fields)
    part = read_part(file)
    assert part.fields == {
        "general.architecture": "llama",
        **{key: value for key, (value, _) in fields.items()},
    }
    for key, (value, _) in fields.items():
        assert type(part.fields[key]) is type(value)
    assert np.array_equal(part.tensors["numbers"].data.view("<f4")[0], np.arange(8))


@pytest.mark.parametrize("alignment", [8, 32, 256])
def test_another_alignment(alignment: int, tmp_path: Path):
    """Tensors lie at multiples of what the file says."""
    writer = GGUFWriter(tmp_path / "x.gguf", "llama")
    writer.add_custom_alignment(alignment)
    for name in ("first", "second"):
        writer.add_tensor(name, np.arange(3, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tensors = read_part(tmp_path / "x.gguf").tensors
    assert all(np.array_equal(tensors[name].data.view("<f4")[0], [0, 1, 2]) for name in ("first", "second"))


@given(data=st.binary(max_size=300), with_magic=st.booleans())
def test_random_bytes_are_refused(data: bytes, with_magic: bool, tmp_path_factory: Any):
    """Bytes that are no GGUF file end in one sentence, with its magic in front as well."""
    file = tmp_path_factory.getbasetemp() / "random.gguf"
    file.write_bytes(b"GGUF\x03\0\0\0" * with_magic + data)
    refusal(read_gguf, file)


@given(data=st.data())
def test_a_damaged_file_is_refused_or_read(whole: Path, data: st.DataObject, tmp_path_factory: Any):
    """A model with changed, missing or additional bytes ends in one sentence, unless it is still a model."""
    content = bytearray(whole.read_bytes())
    header = content.index(b"blk.0.attn_q.weight") + 1000
    places = st.integers(0, header)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(places)
        removed = data.draw(st.sampled_from([0, 1, 1, 4, 8]))
        content[at : at + removed] = data.draw(
            st.binary(min_size=removed, max_size=removed) | st.binary(max_size=8)
        )
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    file = tmp_path_factory.getbasetemp() / "damaged.gguf"
    file.write_bytes(content)
    try:
        read_gguf(file)
    except StartupError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 1000


def test_every_truncation_is_refused(whole: Path, tmp_path: Path):
    """A download that broke off, wherever, is told to be incomplete."""
    content = whole.read_bytes()
    file = tmp_path / "cut.gguf"
    for length in [*range(0, 2000, 17), *range(2000, len(content), 4001), len(content) - 1]:
        file.write_bytes(content[:length])
        told = refusal(open_gguf, file)
        assert "it is not complete, so get it again" in told or (length < 4 and "no GGUF file" in told)


def changed(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Puts other bytes where some first occur in a file."""

    def change(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new, 1)

    return change


def numbered(name: str, place: int, form: str, value: int) -> Callable[[bytes], bytes]:
    """Sets a number that stands so many bytes behind a name."""

    def change(content: bytes) -> bytes:
        at = content.index(name.encode()) + len(name) + place
        packed = struct.pack(form, value)
        return content[:at] + packed + content[at + len(packed) :]

    return change


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (numbered("GGUF", 0, "<I", 1), "has GGUF version 1, and 2 and 3 are supported"),
        (numbered("GGUF", 0, "<I", 4), "has GGUF version 4"),
        (numbered("GGUF", 0, ">I", 3), "is a big-endian GGUF file"),
        (changed(b"ggml.eos_token_id", b"ggml.bos_token_id"), "the key 'tokenizer.ggml.bos_token_id' twice"),
        (changed(b"blk.0.attn_k.weight", b"blk.0.attn_q.weight"), "the tensor 'blk.0.attn_q.weight' twice"),
        (numbered("ggml.token_type", 8, "<Q", 2**63), "is said to have 9223372036854775808 elements"),
        (numbered("general.name", 4, "<Q", 2**40), "'general.name' is said to have 1099511627776 bytes"),
        (numbered("GGUF", 20, "<Q", 1025), "the name of a key is said to have 1025 bytes"),
        (numbered("general.name", 4, "<Q", 2**20), "ends in the middle of 'general.name'"),
        (changed(b"tiny", b"t\xffny"), "'general.name' is not UTF-8"),
        (numbered("general.file_type", 0, "<I", 13), "'general.file_type' has a value of the unknown type"),
        (numbered("ggml.token_type", 4, "<I", 9), "ggml.token_type' has a value of the unknown type 9"),
        (numbered("output_norm.weight", 0, "<I", 0), "'output_norm.weight' is said to have 0 dimensions"),
        (numbered("output_norm.weight", 0, "<I", 5), "'output_norm.weight' is said to have 5 dimensions"),
        (numbered("output_norm.weight", 4, "<Q", 0), "'output_norm.weight' has nothing in it"),
        (numbered("output_norm.weight", 12, "<I", 4), "stores 'output_norm.weight' in the type 4"),
        (numbered("output_norm.weight", 16, "<Q", 64), "'output_norm.weight' is said to lie at 64, and"),
        (numbered("ffn_down.weight", 4, "<Q", 95), "'blk.0.ffn_down.weight' are no multiple of Q8_0's 32"),
        (numbered("ffn_down.weight", 12, "<Q", 2**62), "in the middle of its tensor 'blk.0.ffn_down.weight'"),
    ],
)  # fmt: skip
def test_what_is_damaged_is_named(
    damage: Callable[[bytes], bytes], sentence: str, whole: Path, tmp_path: Path
):
    """Each kind of damage is told by the key or tensor that it is in."""
    file = tmp_path / "damaged.gguf"
    file.write_bytes(damage(whole.read_bytes()))
    told = refusal(open_gguf, file)
    assert sentence in told
    assert told.startswith(str(file))


@pytest.mark.parametrize("alignment", [0, 3, -32])
def test_an_alignment_that_is_no_power_of_two(alignment: int, tmp_path: Path):
    """An alignment that would lead astray is refused."""
    write_one(tmp_path / "x.gguf", {"general.alignment": (alignment, GGUFValueType.INT32)})
    assert "its general.alignment is no power of two" in refusal(open_gguf, tmp_path / "x.gguf")


def test_a_big_endian_file(tmp_path: Path):
    """The kind for machines that store numbers the other way round is refused as such."""
    write_one(tmp_path / "x.gguf", endianess=GGUFEndian.BIG)
    assert "is a big-endian GGUF file" in refusal(open_gguf, tmp_path / "x.gguf")


def test_parts_are_one_model(parts: list[Path]):
    """All parts' tensors are there, with the keys of the first, whichever part is given."""
    expected = open_gguf(parts[0])
    model = tiny_model(parts[0].parent / "reference", "LlamaForCausalLM", num_hidden_layers=1)
    assert set(expected.tensors) == set(gguf_tensors(model))
    assert (
        expected.fields.items()
        >= {k: v for k, v in gguf_fields(model).items() if type(v) is not float}.items()
    )
    for part in parts[1:]:
        opened = open_gguf(part)
        assert opened.paths == tuple(parts)
        assert opened.fields == expected.fields


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_part_is_named(missing: int, parts: list[Path]):
    """A part that is not beside the others is told by its name."""
    parts[missing].unlink()
    told = refusal(open_gguf, parts[missing - 1])
    assert f"is one of 3 parts, and {parts[missing]} is missing" in told


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("other.gguf", "is named as a whole model, and says of itself split.count 3 and split.no 1"),
        ("other-00001-of-00001.gguf", "is named as a whole model"),
        ("other-00004-of-00003.gguf", "is named as no part of 3"),
        ("other-00000-of-00003.gguf", "is named as no part of 3"),
    ],
)
def test_a_part_by_another_name(name: str, sentence: str, parts: list[Path], tmp_path: Path):
    """A part whose name does not say what it is is refused, with what it says of itself."""
    shutil.copy(parts[1], tmp_path / name)
    assert sentence in refusal(open_gguf, tmp_path / name)


def test_parts_in_the_wrong_order(parts: list[Path]):
    """Parts that were renamed among each other are refused."""
    parts[0].rename(parts[0].with_suffix(".tmp"))
    parts[1].rename(parts[0])
    parts[0].with_suffix(".tmp").rename(parts[1])
    assert "is named as part 1 of 3, and says of itself split.count 3 and split.no 1" in refusal(
        open_gguf, parts[0]
    )


def test_a_whole_model_named_as_a_part(whole: Path, parts: list[Path]):
    """A file that is no part is refused where a part is expected."""
    shutil.copy(whole, parts[1])
    assert "is named as part 2 of 3, and says of itself split.count 0" in refusal(open_gguf, parts[0])


def test_one_part_of_one(whole: Path, tmp_path: Path):
    """A model split into one part, which its keys may leave unsaid, is whole."""
    alone = tmp_path / "tiny-00001-of-00001.gguf"
    shutil.copy(whole, alone)
    assert open_gguf(alone).paths == (alone,)


def in_parts(folder: Path, *parts: tuple[str, dict[str, int]]) -> list[Path]:
    """Files with one tensor each, named as parts of a model."""
    paths = [folder / f"x-{number:05}-of-{len(parts):05}.gguf" for number in range(1, len(parts) + 1)]
    for place, (path, (name, fields)) in enumerate(zip(paths, parts, strict=True)):
        writer = GGUFWriter(path, "llama")
        said = {"split.no": place, "split.count": len(parts), "split.tensors.count": len(parts), **fields}
        for key, value in said.items():
            writer.add_key_value(key, value, GGUFValueType.INT32)
        writer.add_tensor(name, np.zeros(8, np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return paths


@pytest.mark.parametrize(
    ("parts_of", "sentence"),
    [
        ([("a", {}), ("a", {})], "holds 'a' a second time"),
        ([("a", {"x": 1}), ("b", {"x": 2})], "sets 'x' otherwise than x-00001-of-00002.gguf"),
        ([("a", {}), ("b", {"x": 2})], "sets 'x' otherwise than x-00001-of-00002.gguf"),
        ([("a", {"split.tensors.count": 3}), ("b", {"split.tensors.count": 3})], "hold 2 tensors where 3"),
        ([("a", {"split.count": 3}), ("b", {"split.count": 3})], "says of itself split.count 3"),
    ],
)  # fmt: skip
def test_parts_of_different_models(parts_of: list[tuple[str, dict[str, int]]], sentence: str, tmp_path: Path):
    """Parts that do not fit each other are refused."""
    assert sentence in refusal(open_gguf, in_parts(tmp_path, *parts_of)[0])


def test_a_part_that_does_not_say_how_many_tensors_there_are(parts: list[Path]):
    """A key that the parts of a model always have is missed by its name."""
    for part in parts:
        part.write_bytes(part.read_bytes().replace(b"split.tensors.count", b"other.tensors.count"))
    assert "has no split.tensors.count" in refusal(open_gguf, parts[0])


def test_a_file_is_found_by_its_first_bytes(whole: Path, tmp_path: Path):
    """A name without suffix, as Ollama gives, is as good as any; a suffix alone is not."""
    blob = tmp_path / "sha256-0123"
    shutil.copy(whole, blob)
    assert find_gguf(blob) == blob
    (tmp_path / "x.gguf").write_text("GG")
    assert "x.gguf is no GGUF file; give one, or a folder with safetensors" in refusal(
        find_gguf, tmp_path / "x.gguf"
    )


def test_the_only_file_of_a_folder(whole: Path, parts: list[Path], tmp_path: Path):
    """A folder without config.json means the model in it, be it in parts; of several the user chooses."""
    assert find_gguf(tmp_path) == parts[0]
    parts[0].unlink()
    assert find_gguf(tmp_path) == parts[1]
    shutil.copy(whole, tmp_path / "other.gguf")
    assert refusal(find_gguf, tmp_path).endswith(f"choose one of them: other.gguf, {parts[1].name}.")
    (tmp_path / "config.json").touch()
    assert find_gguf(tmp_path) is None


def test_a_projector_beside_a_model(whole: Path, parts: list[Path], tmp_path: Path):
    """What reads pictures for a model leaves no choice open, beside a split one as well."""
    shutil.copy(whole, tmp_path / "mmproj-tiny.gguf")
    assert find_gguf(tmp_path) == parts[0]
    for part in parts:
        part.unlink()
    assert find_gguf(tmp_path) is None
    shutil.copy(whole, tmp_path / "tiny.gguf")
    assert find_gguf(tmp_path) == tmp_path / "tiny.gguf"


def test_a_pipe_is_not_opened(parts: list[Path], tmp_path: Path):
    """What is neither folder nor file would be waited for without end, as a model or as a part of one."""
    os.mkfifo(tmp_path / "pipe")
    assert "pipe is no regular file; give a GGUF file" in refusal(find_gguf, tmp_path / "pipe")
    parts[1].unlink()
    os.mkfifo(parts[1])
    assert f"{parts[1]} is no regular file" in refusal(open_gguf, parts[0])


def test_a_folder_without_any(tmp_path: Path):
    """Other folders are none of GGUF's business."""
    assert find_gguf(tmp_path) is None


def test_a_file_that_cannot_be_read(tmp_path: Path):
    """A path that leads nowhere is told with the system's reason."""
    (tmp_path / "x.gguf").symlink_to(tmp_path / "gone")
    assert "x.gguf cannot be read (No such file or directory)" in refusal(find_gguf, tmp_path / "x.gguf")
