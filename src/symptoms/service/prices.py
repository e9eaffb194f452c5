"""What hosted Tinker asks for tokens: as the package knows it, or as it was read anew on this machine."""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, cast

import platformdirs
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from symptoms.errors import InputError, ServiceError
from symptoms.service.capabilities import ANSWER_SECONDS

SOURCE = "https://tinker-docs.thinkingmachines.ai/tinker/models.json"
"""The list that Tinker's documentation calls machine-readable; its page is `PRICES_PAGE`."""
PRICES_PAGE = "https://tinker-docs.thinkingmachines.ai/tinker/models/"
MILLION = 1_000_000


def _dollars(told: object) -> object:
    """As in `$1,234.50`, which is how the list writes prices."""
    return told.strip().removeprefix("$").replace(",", "") if isinstance(told, str) else told


Dollars = Annotated[float, BeforeValidator(_dollars), Field(gt=0, lt=10_000)]


class Price(BaseModel):
    """Dollars for a million tokens, and the day on which the source was seen to say so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: Dollars
    prefill: Dollars
    sample: Dollars | None = None
    as_of: date

    def dollars(self, num_trained: int, num_read: int = 0) -> float:
        """What so many tokens cost that a training client works on, and so many prompts' tokens."""
        return (num_trained * self.train + num_read * self.prefill) / MILLION

    @property
    def in_json(self) -> dict[str, Any]:
        """As it stands in files."""
        return self.model_dump(mode="json", exclude_none=True)


@dataclass(frozen=True)
class PriceTable:
    """Prices by base model, None where that of a model on offer is not known."""

    source: str
    models: Mapping[str, Price | None]


class _Row(BaseModel):
    """What is needed of a model in Tinker's list; it says more."""

    tinker_id: str = Field(min_length=1)
    train: Dollars | None = None
    prefill: Dollars | None = None
    sample: Dollars | None = None


_ROWS = TypeAdapter(list[_Row])


def prices() -> PriceTable:
    """Those that were read anew, else those of the package; raises InputError for a file that is damaged."""
    kept = prices_file()
    if not kept.exists():
        return _read(files("symptoms.service").joinpath("hosted_prices.toml").read_text("utf-8"))
    try:
        return _read(kept.read_text("utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{kept} cannot be read as prices; remove it, or read them anew with: "
            "symptoms models prices --refresh"
        ) from error


def price_of(base_model: str) -> Price | None:
    """What a base model costs on hosted Tinker, None where that is not known."""
    return prices().models.get(base_model)


def prices_file() -> Path:
    """SYMPTOMS_PRICES, or a file in the user's data: where prices are kept that were read anew."""
    told = os.environ.get("SYMPTOMS_PRICES")
    return Path(told).expanduser() if told else platformdirs.user_data_path("symptoms") / "hosted_prices.toml"


def refresh_prices(source: str = SOURCE) -> PriceTable:
    """Read the prices from Tinker's documentation, and keep them on this machine.

    Raises ServiceError, and keeps what there was, where the list cannot be had or is none.
    """
    import httpx

    try:
        answer = httpx.get(source, timeout=ANSWER_SECONDS, follow_redirects=True)
        answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        raise ServiceError(_kept_as_is(source, f"status {error.response.status_code}")) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServiceError(_kept_as_is(source, type(error).__name__)) from error
    try:
        rows = _ROWS.validate_python(answer.json())
    except (ValueError, ValidationError) as error:
        raise ServiceError(_kept_as_is(source, "it is no list of models with prices")) from error
    today = date.today()
    found = {row.tinker_id: _price(row, today) for row in rows}
    if not any(found.values()):
        raise ServiceError(_kept_as_is(source, "it tells no price"))
    table = PriceTable(source, found)
    _keep(table)
    return table


def _kept_as_is(source: str, reason: str) -> str:
    newest = max((price.as_of for price in prices().models.values() if price), default=None)
    return (
        f"No prices could be read from {source} ({reason}); those known here, the newest of {newest}, "
        f"stay as they are, and {PRICES_PAGE} shows today's."
    )


def _price(row: _Row, today: date) -> Price | None:
    if row.train is None or row.prefill is None:
        return None
    return Price(train=row.train, prefill=row.prefill, sample=row.sample, as_of=today)


def _read(text: str) -> PriceTable:
    told = tomllib.loads(text)
    models = cast(dict[str, dict[str, Any]], told["models"])
    return PriceTable(
        str(told["source"]),
        {name: Price.model_validate(row) if row else None for name, row in models.items()},
    )


def _keep(table: PriceTable) -> None:
    # JSON's strings are TOML's, too.
    lines = [f"source = {json.dumps(table.source)}", "", "[models]"]
    for name, price in sorted(table.models.items()):
        told = "" if price is None else ", ".join(f"{key} = {value}" for key, value in price.in_json.items())
        lines.append(f"{json.dumps(name)} = {{{told}}}")
    file = prices_file()
    beside = file.with_name(f"{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text("\n".join(lines) + "\n", "utf-8")
        beside.replace(file)
    except OSError as error:
        raise InputError(
            f"{file} cannot be written ({error.strerror}); name another file with SYMPTOMS_PRICES."
        ) from error
