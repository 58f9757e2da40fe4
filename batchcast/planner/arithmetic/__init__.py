"""The arithmetic of a plan: plain functions on plain values."""
