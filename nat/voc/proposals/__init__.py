"""Boxes that may hold an object, for a detector of the R-CNN kind to classify."""
