"""What the passes over the history run on: the processes of one instance, or Spark on several."""
