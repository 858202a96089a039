"""For programs: load a trunk, embed images, export weights."""
