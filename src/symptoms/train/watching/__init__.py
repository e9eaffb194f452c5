"""What is seen of a training while it runs, and how it is stopped."""
