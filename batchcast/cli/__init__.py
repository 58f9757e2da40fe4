"""The command line: a command a module, in a folder a section."""
