"""Records as they stand in a file of any format."""
