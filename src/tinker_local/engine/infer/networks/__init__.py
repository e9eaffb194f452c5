"""What a step computes with: a model and its adapter, by torch or by the kernels in C."""
