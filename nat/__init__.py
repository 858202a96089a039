"""Noise As Targets: the reference pipeline of "Unsupervised Learning by Predicting Noise"."""

__version__ = "0.1.0"
