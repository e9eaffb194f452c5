"""What is asked for: the data and the settings of a training, told, read and recommended."""
