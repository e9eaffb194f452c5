#!/usr/bin/env bash
# torch 2.13.0, CPU. Weight-only quantised products are there to read fewer bytes: one row times a matrix waits for the
# matrix, and int8 is a quarter of float32. With float32 activations they lose that and more, and nothing says so.
#
# Expected: one row of float32 times an int8 matrix (`torch.ops.aten._weight_int8pack_mm`) is faster than times the
# float32 matrix, or at worst as fast; and it does not matter much whether the row is float32 or bfloat16.
# Seen, 120 matrices of 1,536 x 576 in turn, so that they come from memory (AMD EPYC with AVX-512, one thread): the float32
# row takes 2.2 times as long by int8 as by the float32 matrix, and 5 times as long as a bfloat16 row by the same
# int8 matrix, for which int8 is the gain that it should be (0.43 against 0.68 by a bfloat16 matrix). Eight float32 rows
# take 14 times as long by int8. The answers are right in both types.
#
# Whoever keeps float32 activations for exact numbers and quantises weights for speed, gets neither.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
./venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.3.5
cat > seen.py <<'PYTHON'
import statistics
import time

import torch

torch.set_num_threads(1)
OUT, IN, MATRICES = 1536, 576, 120
drawn = torch.Generator().manual_seed(0)
plain = [torch.randn(OUT, IN, generator=drawn) for _ in range(MATRICES)]
scales = [matrix.abs().amax(1) / 127 for matrix in plain]
int8 = [(matrix / scale[:, None]).round().to(torch.int8) for matrix, scale in zip(plain, scales)]
bfloat16 = [matrix.bfloat16() for matrix in plain]


def times(rows: int) -> dict[str, float]:
    x = torch.randn(rows, IN, generator=drawn)
    xb = x.bfloat16()
    sb = [scale.bfloat16() for scale in scales]
    ways = {
        "float32 rows, float32 matrix": lambda i: torch.nn.functional.linear(x, plain[i]),
        "float32 rows, int8 matrix": lambda i: torch.ops.aten._weight_int8pack_mm(x, int8[i], scales[i]),
        "bfloat16 rows, bfloat16 matrix": lambda i: torch.nn.functional.linear(xb, bfloat16[i]),
        "bfloat16 rows, int8 matrix": lambda i: torch.ops.aten._weight_int8pack_mm(xb, int8[i], sb[i]),
    }
    right = ways["float32 rows, float32 matrix"](0)
    got = ways["float32 rows, int8 matrix"](0)
    assert (got - right).norm() < 0.02 * right.norm(), "the product by int8 is the product"
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(7):
        for name, way in ways.items():
            begun = time.perf_counter()
            for number in range(MATRICES):
                way(number)
            taken[name].append(time.perf_counter() - begun)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


print("torch", torch.__version__)
by_rows = {rows: times(rows) for rows in (1, 8)}
for rows, found in by_rows.items():
    first = found["float32 rows, float32 matrix"]
    print(rows, "row(s), times as long as float32 by float32:")
    for name, seconds in found.items():
        print(f"  {name:32} {seconds / first:5.2f}")
one, eight = by_rows[1], by_rows[8]
assert one["float32 rows, int8 matrix"] > 1.3 * one["float32 rows, float32 matrix"], "int8 gains in float32 now"
assert one["float32 rows, int8 matrix"] > 2 * one["bfloat16 rows, int8 matrix"], "both types are alike now"
assert one["bfloat16 rows, int8 matrix"] < one["float32 rows, float32 matrix"], "int8 gains nothing in bfloat16"
assert eight["float32 rows, int8 matrix"] > 4 * eight["float32 rows, float32 matrix"], "8 rows take less by int8 now"
print("as described")
PYTHON
./venv/bin/python seen.py
