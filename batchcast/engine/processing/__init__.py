"""Processing jobs: the container's own command as a subprocess under a private /opt/ml."""
