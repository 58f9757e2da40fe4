"""Commands that set up an account."""
