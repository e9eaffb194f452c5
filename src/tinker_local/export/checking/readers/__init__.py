"""Programs that load an export with other people's code and answer questions about it.

Each is run as a process of its own, by its path: reads one JSON object from standard input, and writes a line
of JSON for each prompt. So nothing of theirs is loaded into the process that wrote the export, and one that
ends badly is an answer like any other. They import nothing of this package.
"""
