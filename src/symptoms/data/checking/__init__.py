"""What is wrong with data sets whose every line is well-formed."""
