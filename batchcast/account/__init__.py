"""Deploy the pipeline and its schedule, and check an account."""
