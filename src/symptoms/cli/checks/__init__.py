"""The commands that look whether something is as it should be: this machine, a server, the crisis screen."""
