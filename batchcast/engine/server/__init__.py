"""Model servers and the HTTP exchange with them."""
