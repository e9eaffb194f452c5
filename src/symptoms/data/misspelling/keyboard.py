"""Which keys lie side by side, for texts with slips."""

ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def keys_beside(letter: str) -> list[str]:
    """The one or two keys beside that of a letter from a to z, small, from left to right."""
    row = next(row for row in ROWS if letter.lower() in row)
    at = row.index(letter.lower())
    return [*row[max(0, at - 1) : at], *row[at + 1 : at + 2]]
