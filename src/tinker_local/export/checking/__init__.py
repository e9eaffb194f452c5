"""What was written is read by another program, and its answers are held against our own."""
