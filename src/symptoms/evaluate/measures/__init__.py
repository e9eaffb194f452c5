"""The figures themselves: pure functions of answers and what was wanted."""
