"""Define, check and operate the pipeline: what runs in Studio, in a terminal and in CI."""

__all__ = ["__version__"]

__version__ = "0.1.0"
