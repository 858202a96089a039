"""Neural gas (Martinetz & Schulten, 1991), layer by layer: filters are a codebook of patches.

The same as kmeans_layers.py but for the learner: a patch draws all vectors, the closer ones more,
within a reach that shrinks. The paper's own use of it is a map of given data, without layers;
patches, whitening and layers are Coates & Ng's (see nat/pretext/layerwise.py), and each vector
moves once for all patches (see nat/pretext/codebooks.py).
"""

from nat.methods import TrunkSession
from nat.pretext.codebooks import neural_gas
from nat.pretext.layerwise import Settings, learn_layers

__all__ = ["Settings", "train"]

LABEL = "Neural gas"
REFERENCE = "Martinetz & Schulten, 1991"
WHEN = "cited"
MEASURE = "error"
BETTER = "lower"
MEASURE_TEXT = "squared error of coded patches, 1 with patches as codebook, mean over layers"


def train(session: TrunkSession, settings: Settings) -> None:
    """Learn all layers; see ``learn_layers``."""
    learn_layers(session, settings, neural_gas)
