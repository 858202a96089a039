"""Motion, for methods that learn from it: composed of still images, or read from real frames."""
