"""What an evaluation is asked for, and the data that it is to be made on."""
