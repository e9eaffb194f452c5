"""What is fitted on the dev set before a test set is asked about."""
