"""What an instance hour costs."""
