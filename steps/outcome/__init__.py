"""What became of every record, and what the run does about it."""
