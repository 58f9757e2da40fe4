"""The weekly run on this machine."""
