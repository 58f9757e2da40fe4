"""Hypothesis measures no deadlines here: the machine that runs the tests may be busy."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("steps", deadline=None)
settings.load_profile("steps")
