"""Measure this engine beside others on one machine, in one run: `make bench`, or `python -m benchmarks --help`."""
