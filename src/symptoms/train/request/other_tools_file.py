"""The configuration of another tool, in JSON or YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from symptoms.errors import DataError, Fault
from symptoms.text_files import kind_of, parse_json, read_text


def read_other_tools_file(path: Path) -> Mapping[str, Any]:
    """Names with values, as the file has them; raises DataError for one that is neither JSON nor YAML.

    A name ending in .json is read as JSON, any other as YAML, of which JSON is a part.
    """
    text, _ = read_text(path)
    document = parse_json(str(path), text) if path.suffix.lower() == ".json" else _yaml(path, text)
    names = list(cast("Mapping[object, Any]", document)) if isinstance(document, Mapping) else [document]
    if not all(isinstance(name, str) for name in names) or not isinstance(document, Mapping):
        found = kind_of(cast(object, document))
        problem = f"expected names with values, found {found}; give the tool's own configuration"
        raise DataError([Fault(str(path), 1, "file", problem)])
    return cast(Mapping[str, Any], document)


def _yaml(path: Path, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 1
        problem = f"not valid YAML ({error.problem}); correct it, or save the configuration anew"
        raise DataError([Fault(str(path), line, "file", problem)]) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        problem = "not valid YAML; correct it, or save the configuration anew"
        raise DataError([Fault(str(path), 1, "file", problem)]) from error
