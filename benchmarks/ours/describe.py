"""Print where a base model lies for other libraries, as JSON; converts a GGUF file first where it is one."""

from __future__ import annotations

import json
import sys

import torch

from base_models import resolve
from tinker_local.loading import load_base_model


def main() -> None:
    """For the name in the first argument, print `folder` and `source`."""
    name = sys.argv[1]
    base = load_base_model(name, "auto", torch.device("cpu"))
    print(json.dumps({"folder": str(base.folder), "source": str(resolve(name).path)}))


if __name__ == "__main__":
    main()
