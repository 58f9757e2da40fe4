"""Batch Transform: one job from its request to its output objects, with real HTTP to real model servers."""
