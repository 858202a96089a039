"""DeepCluster (Caron et al., 2018): clusters of the network's own features are its labels.

Section 3.2: at the start of each epoch the features of all images, which are those before the last
ReLU, are reduced by PCA, whitened and scaled to unit length, and clustered by k-means; the last
layer is drawn anew; and the network is trained to tell each image's cluster. An empty cluster
splits another (section 3.3).

Different here: the MLP of NAT's network in place of AlexNet's; NAT's crops, not resized; images
are drawn alike and their losses weighted by one over their cluster's size, in place of drawing each
cluster alike; one optimizer, which forgets the last layer's steps, in place of a second one without
momentum; features with batch norm's statistics of each batch in place of the running ones.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from torch import nn

from nat.methods import TrunkSession
from nat.network.model import Network
from nat.pretext.clusters import ROUNDS, Labelling, accuracy, outputs_of_all
from nat.pretext.codebooks import kmeans
from nat.pretext.training import Measures, pretrain_on
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Classes, Dimension, Training

LABEL = "DeepCluster"
REFERENCE = "Caron et al., 2018"
WHEN = "later"
MEASURE = "accuracy"
BETTER = "higher"
MEASURE_TEXT = "images whose cluster is told, %"
SAMPLE = 16  # images that PCA is computed of, for each number that it has to reduce
LENGTH = 0.01  # standard deviation of the last layer's first weights


class Settings(Training):
    """The number of clusters, and of the numbers that features are reduced to."""

    k: Classes
    dimension: Dimension


class DeepCluster(Labelling):
    """The cluster of an image, by the whole network."""

    def __init__(self, session: TrunkSession, network: Network, settings: Settings) -> None:
        super().__init__(session, settings.k)
        self.network, self.dimension = network, settings.dimension
        hidden = network.settings.hidden
        if settings.dimension > min(hidden, len(session.images)):
            raise UserError(
                f"{session.group}.dimension: {settings.dimension} of the {hidden} numbers of "
                f"model.hidden, of {len(session.images)} images; use at most the lesser"
            )
        # evenly apart, at least as many images as PCA has numbers to find
        self.every = max(len(session.images) // (SAMPLE * hidden), 1)

    def hidden(self, images: torch.Tensor) -> torch.Tensor:
        """The features that are clustered: float (b, hidden)."""
        return self.network.head[:-2](self.network.trunk(images))

    def reduced(self) -> torch.Tensor:
        """Features of all images, whitened and of unit length: float (n, dimension)."""
        session, device = self.session, self.session.device
        sample = outputs_of_all(session, self, self.hidden, self.every)
        pca = PCA(self.dimension, svd_solver="covariance_eigh").fit(sample.double().cpu().numpy())
        scale = pca.explained_variance_.clip(min=1e-12) ** -0.5
        mean = torch.from_numpy(pca.mean_).float().to(device)
        turn = torch.from_numpy(pca.components_.T * scale).float().to(device)
        session.distributed.broadcast(turn)  # whose signs a machine may find otherwise
        return outputs_of_all(
            session, self, lambda images: F.normalize((self.hidden(images).float() - mean) @ turn)
        )

    def cluster(self, epoch: int) -> torch.Tensor:
        """K-means, and a new last layer; see ``Labelling``."""
        draws = self.session.generator("clusters", epoch)
        labels = kmeans(self.reduced(), self.k, ROUNDS, draws)[1]
        with torch.no_grad():
            for weight in self.renewed():
                first = torch.randn(weight.shape, generator=draws) if weight.dim() > 1 else 0.0
                weight.copy_(torch.as_tensor(first) * LENGTH)
        return labels

    def renewed(self) -> Iterable[nn.Parameter]:
        """The last layer's; see ``Task``."""
        return self.network.head[-1].parameters()

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """Cross entropy, every cluster counting the same; see ``Task``."""
        labels, outputs = self.labels_of(rows), self.network(images).float()
        alike = 1 / self.sizes.clamp(min=1)
        loss = F.cross_entropy(outputs, labels, alike)
        return loss, {"accuracy": accuracy(outputs, labels), **self.found}


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk on clusters of its own features.

    Raises:
        UserError: more clusters than images, or more numbers kept than there are.
    """
    network = session.network(settings.k)
    pretrain_on(session, network, DeepCluster(session, network, settings), settings)
