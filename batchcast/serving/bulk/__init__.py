"""A whole run through an asynchronous endpoint."""
