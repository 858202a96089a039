"""Jigsaw puzzles (Noroozi & Favaro, 2016) on the trunk of all other rows; see pretext/jigsaw.py.

The stride of conv1 is 4 in AlexNet, as in the network that their features are moved to; in the one
that they pretrain, and that the paper's Table 3 has, it is 2: see jigsaw_dense.py.
"""

from nat.methods import TrunkSession
from nat.pretext.jigsaw import JigsawTraining, train_jigsaw

LABEL = "Jigsaw"
REFERENCE = "Noroozi & Favaro, 2016"
MEASURE = "accuracy"
BETTER = "higher"
MEASURE_TEXT = "orders of tiles guessed right, percent"

Settings = JigsawTraining


def train(session: TrunkSession, settings: JigsawTraining) -> None:
    """Train the trunk to solve puzzles."""
    train_jigsaw(session, settings)
