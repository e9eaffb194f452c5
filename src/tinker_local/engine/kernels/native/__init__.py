"""Kernels in C for what waits for memory: a few rows at a time, which torch computes operation by operation.

They are compiled where the machine has a C compiler, when they are first needed, and kept; without one the
engine computes the same with torch, slower. `library.py` compiles them; what each takes and gives
stands where it is called.
"""
