"""Ready contracts for common forecasting containers, and a first contract proposed from a history."""
