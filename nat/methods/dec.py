"""Deep embedded clustering (Xie et al., 2016): a code is drawn to clusters it is already near to.

Section 3.2: first an autoencoder learns the code. K-means on the codes of all images then gives the
centres, and code and centres are trained together on KL(P || Q) (eq. 2): Q is the soft assignment
by Student's t-distribution (eq. 1), and P, found anew at the start of each epoch, is Q squared,
divided by the clusters' frequencies and scaled to sum 1 (eq. 3).

Different here: the trunk and a linear layer encode, in place of fully connected layers that were
pretrained one by one; P is of central crops, and Q of random ones, where DEC has no augmentation;
Adam in both phases; no end when few images change clusters. While the autoencoder learns, ``kl``
and ``certainty`` are those of k-means on the codes so far. As in the paper, k is the number of
classes, which NAT is not told.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import nn

from nat.methods import TrunkSession
from nat.network.front_ends import standardise
from nat.network.model import Trunk, initialise
from nat.pretext.clusters import ROUNDS, evenness, outputs_of_all
from nat.pretext.codebooks import kmeans
from nat.pretext.decoders import decoder
from nat.pretext.training import AdamTraining, Measures, Task, pretrain_on
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Classes, Dimension, Fraction

LABEL = "Deep embedded clustering"
REFERENCE = "Xie et al., 2016"
WHEN = "cited"
MEASURE = "certainty"
BETTER = "higher"
MEASURE_TEXT = "mean share of an image's likeliest cluster"


class Settings(AdamTraining):
    """The autoencoder's share of the epochs, numbers of a code, number of clusters."""

    autoencoder: Fraction
    dimension: Dimension
    k: Classes


def soft_assignment(codes: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Eq. 1, with one degree of freedom: float (b, d) and (k, d) -> (b, k), rows of sum 1."""
    distances = (codes[:, None] - centres).square().sum(2)
    return F.normalize(1 / (1 + distances), p=1, dim=1)


def sharpened(q: torch.Tensor) -> torch.Tensor:
    """Eq. 3, of all images' Q: float (n, k), rows of sum 1."""
    return F.normalize(q.square() / q.sum(0), p=1, dim=1)


class Embedding(Task):
    """First an autoencoder, then clusters of its codes."""

    def __init__(self, session: TrunkSession, trunk: Trunk, settings: Settings) -> None:
        super().__init__()
        self.session, self.settings, self.trunk = session, settings, trunk
        n, features = len(session.images), trunk.features(session.crop)
        if settings.k > n:
            raise UserError(f"{session.group}.k: {settings.k} clusters of {n} images; at most that")
        self.encode = nn.Linear(features, settings.dimension)
        self.decode = nn.Linear(settings.dimension, features)
        self.shape = trunk.map_of(session.crop)
        self.decoder = decoder(*self.shape, session.crop, trunk.channels)
        self.centres = nn.Parameter(torch.zeros(settings.k, settings.dimension))
        self.clustering, self.anew = False, False
        self.first = int(settings.autoencoder * settings.epochs)  # with clusters
        self.p = torch.zeros(0)  # (n, k), on the CPU

    def code(self, images: torch.Tensor) -> torch.Tensor:
        """Uint8 (b, c, crop, crop) -> float (b, dimension)."""
        return self.encode(self.trunk(images).flatten(1)).float()

    def begin(self, epoch: int) -> None:
        """Compute P, and until the autoencoder is done the centres; see ``Task``."""
        self.clustering, self.anew = epoch >= self.first, epoch == self.first
        codes = outputs_of_all(self.session, self, self.code)
        with torch.no_grad():
            if epoch <= self.first:
                draws = self.session.generator("clusters", epoch)
                self.centres.copy_(kmeans(codes, self.settings.k, ROUNDS, draws)[0])
                self.session.distributed.broadcast(self.centres.data)
            parts = codes.split(4096)
            self.p = sharpened(torch.cat([soft_assignment(part, self.centres) for part in parts]))
        self.evenness = evenness(torch.bincount(self.p.argmax(1), minlength=self.settings.k))
        self.p = self.p.cpu()

    def renewed(self) -> Iterable[nn.Parameter]:
        """The second loss starts without the first one's steps; see ``Task``."""
        return self.parameters() if self.anew else ()

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """The error of reconstruction, or the divergence averaged over the batch; see ``Task``."""
        codes = self.code(images)
        q = soft_assignment(codes, self.centres)
        p = self.p[rows].to(q.device, non_blocking=True)
        kl = F.kl_div(q.log(), p, reduction="batchmean")
        measures = {"kl": kl, "certainty": q.max(1).values.mean(), "evenness": self.evenness}
        # what a phase does not train has a gradient of 0: processes wait for one of every weight
        if self.clustering:
            idle = (*self.decode.parameters(), *self.decoder.parameters())
            return kl + 0 * sum(weight.sum() for weight in idle), measures
        made = self.decoder(self.decode(codes).unflatten(1, (self.shape[0], *self.shape[1:] * 2)))
        error = F.mse_loss(made.float(), standardise(images))
        return error + 0 * self.centres.sum(), {"error": error, **measures}


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk to encode, then its code to fall into clusters.

    Raises:
        UserError: more clusters than images.
    """
    network = session.network(2)
    task = Embedding(session, network.trunk, settings)
    draws = session.generator("decoder")
    for part in (task.encode, task.decode, task.decoder):
        initialise(part, draws)
    pretrain_on(session, network, task, settings)
