"""The image store, and how training reads it: rows, crops, seeds."""
