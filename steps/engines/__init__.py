"""What the passes over the history run on: the processes of one instance, or Spark on several.

Each of the four passes is done lane by lane; the answers stand in the order of the lanes, that of `write` in any. On
either engine the functions that work on rows are the same, and so are the bytes.
"""
