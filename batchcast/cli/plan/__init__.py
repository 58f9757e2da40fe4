"""Commands that plan and tune."""
