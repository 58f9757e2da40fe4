"""Commands over what was published."""
