"""What stands beside the model in an answer: the vote of words, and how key symptoms are read."""
