"""An asynchronous endpoint that scales to zero."""
