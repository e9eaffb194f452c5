"""What is learnt of words and stands beside the model in an answer: their vote, key symptoms, and slips."""
