# This library carries no types, and those that pyright guesses from its code are wrong.
from typing import Any

def __getattr__(name: str) -> Any: ...
