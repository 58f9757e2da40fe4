"""Define, check and operate the pipeline: what runs in Studio, in a terminal and in CI."""
