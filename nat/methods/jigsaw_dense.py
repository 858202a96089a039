"""Jigsaw puzzles (Noroozi & Favaro, 2016) with half the stride in conv1; see pretext/jigsaw.py.

The footnote of the paper's Table 3: their row "uses a significantly larger amount of features than
the original AlexNet". conv1's stride is 2, not 4, so that conv5 gives 12 x 12 cells of a crop of
224 px where AlexNet gives 6 x 6; of the small trunk 1, not 2, and 4 x 4 cells, not 2 x 2.
"""

from nat.methods import TrunkSession
from nat.pretext.jigsaw import JigsawTraining, train_jigsaw

LABEL = "Jigsaw, conv1 at half the stride"
REFERENCE = "Noroozi & Favaro, 2016"
MEASURE = "accuracy"
BETTER = "higher"
MEASURE_TEXT = "orders of tiles guessed right, percent"

Settings = JigsawTraining


def train(session: TrunkSession, settings: JigsawTraining) -> None:
    """Train the dense form of the trunk to solve puzzles."""
    name = session.params.model.trunk.removesuffix("-dense")
    train_jigsaw(session, settings, f"{name}-dense")
