"""Answers by the shard and not one by one: lines that are alike are read as columns."""
