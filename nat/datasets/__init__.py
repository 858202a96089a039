"""Data sets, a file each: how its images come into the image store."""
