"""What `import batchcast` gives: a place to deploy to and the runs in it."""
