"""Forecasting containers that cannot be had here, imitated strictly: each takes what is documented, and no more.

`python -m emulators.containers FAMILY --port PORT` serves one of them; every answer follows from the last values of the
request (`forecast.py`), so that a test can say what has to be published.
"""
