"""Objects on S3, or in a directory that stands in for it."""
