"""What a transform job makes of the bytes of its input."""
