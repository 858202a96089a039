"""Layer-wise k-means (Coates & Ng, 2012): each layer's filters are a codebook of patches.

Spherical k-means on whitened patches, from the bottom up, without gradients (their sections 2 to
4); nat/pretext/layerwise.py has what is done and where it differs.
"""

from nat.methods import TrunkSession
from nat.pretext.codebooks import spherical
from nat.pretext.layerwise import Settings, learn_layers

__all__ = ["Settings", "train"]

LABEL = "Layer-wise k-means"
REFERENCE = "Coates & Ng, 2012"
WHEN = "cited"
MEASURE = "error"
BETTER = "lower"
MEASURE_TEXT = "squared error of coded patches, 1 with patches as codebook, mean over layers"


def train(session: TrunkSession, settings: Settings) -> None:
    """Learn all layers; see ``learn_layers``."""
    learn_layers(session, settings, spherical)
