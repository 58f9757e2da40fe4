"""Services that tests need and the product does not have."""
