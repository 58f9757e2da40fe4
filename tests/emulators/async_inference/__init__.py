"""Asynchronous Inference: queue, answers and scaling of an endpoint, on a virtual clock."""
