"""The parts of a decoder's forward and backward pass, each as a plain function with its own derivative.

Put together by autograd a block is some hundred small operations each way, which on a model of 135 million
parameters take as long as its matrices. Here each part saves what its backward pass needs and no more.
`to_x` is the gradient to `x` throughout: the derivative of the loss by it.
"""
