"""From history to shards of requests."""
