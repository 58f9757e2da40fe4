"""Requests, and the shapes that the service model gives them."""
