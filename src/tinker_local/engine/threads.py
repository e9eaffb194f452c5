"""How many threads a computation gets.

OpenMP's threads wait for each other by spinning. Where another program wants a core, and the client that
drives the server is one, small computations then wait for threads that are not running: a training step
of the bundled model took 203 to 482 ms with two threads on a busy machine of two cores, and 72 to 76 ms
with one. Large computations gain more from the second core than they lose.
"""

from __future__ import annotations

import torch

LARGE = 2e10
"""Floating-point operations from which on all cores are used; about half a second on one core."""


ALL_THREADS = torch.get_num_threads()
"""What torch found at the start, which respects OMP_NUM_THREADS."""


MANY_PARAMETERS = 50_000_000
"""Weights that have to come from memory whatever the number of tokens, which all cores fetch sooner."""


def use_threads_for(num_parameters: int, num_tokens: int, passes: int = 1) -> None:
    """Let torch use all cores for a large computation and one for a small.

    The work of a forward pass is about two operations per parameter and token (Kaplan et al. 2020,
    arXiv:2001.08361); `passes` is 3 where there is a backward pass. A few tokens of a large model are little
    work and many bytes.
    """
    large = num_parameters >= MANY_PARAMETERS or 2 * passes * num_parameters * num_tokens >= LARGE
    torch.set_num_threads(ALL_THREADS if large else 1)
