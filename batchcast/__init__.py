"""A team's weekly forecast run as a SageMaker Pipeline."""

__all__ = ["__version__"]

__version__ = "0.2.0"
