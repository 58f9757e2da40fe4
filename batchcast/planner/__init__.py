"""Predict what a run costs and when it ends, and measure the concurrency a model can bear."""
