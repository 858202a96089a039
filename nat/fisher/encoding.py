"""Fisher vectors: how a mixture of Gaussians would change to fit an image's descriptors better.

Sanchez et al. (2013), sections 2 and 3: the gradients of the mean log-likelihood by the means and
standard deviations of a mixture with diagonal covariances, each divided by the root of its Fisher
information, then the signed square root, then unit length.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch.nn.utils.rnn import pad_sequence

STEPS = 100  # of expectation and maximisation, at most


@dataclass(frozen=True)
class Mixture:
    """PCA of descriptors, and a mixture of K Gaussians of what it leaves, of D numbers.

    All are float64 and on one device.

    Attributes:
        centre: (128,), the mean descriptor.
        axes: (D, 128), PCA's.
        weights: (K,), of the Gaussians.
        means: (K, D).
        variances: (K, D).
    """

    centre: torch.Tensor
    axes: torch.Tensor
    weights: torch.Tensor
    means: torch.Tensor
    variances: torch.Tensor

    def fisher_vectors(self, described: list[np.ndarray]) -> torch.Tensor:
        """An image's Fisher vector each.

        Args:
            described: of each image float32 (t, 128), its descriptors; t may differ, and be 0.

        Returns:
            float32 (b, 2 K D) on the device, of unit length; zero for an image without descriptors.
        """
        device, counts = self.means.device, torch.tensor([len(each) for each in described])
        together = torch.from_numpy(np.concatenate(described)).to(device).double()
        reduced = (together - self.centre) @ self.axes.T
        gradients = self._gradients(
            pad_sequence(reduced.split(counts.tolist()), batch_first=True),
            pad_sequence(self.posteriors(reduced).split(counts.tolist()), batch_first=True),
        )
        vectors = (gradients / counts.to(device).clamp(min=1).view(-1, 1, 1)).flatten(1)
        return F.normalize(vectors.sign() * vectors.abs().sqrt()).float()

    def posteriors(self, reduced: torch.Tensor) -> torch.Tensor:
        """Which Gaussian a descriptor is of: float64 (t, D) to probabilities, (t, K)."""
        precise = 1 / self.variances
        squares = reduced.square() @ precise.T - 2 * reduced @ (self.means * precise).T
        constant = (self.means.square() * precise).sum(1) + self.variances.log().sum(1)
        return torch.softmax(self.weights.log() - (squares + constant) / 2, dim=1)

    def _gradients(self, reduced: torch.Tensor, posteriors: torch.Tensor) -> torch.Tensor:
        """By means and by deviations, summed over descriptors: (b, t, D), (b, t, K) to (b, 2K, D).

        With gamma the posteriors: sum gamma (x - mu) / sigma / sqrt(w), and
        sum gamma ((x - mu)^2 / sigma^2 - 1) / sqrt(2 w).
        """
        mass = posteriors.sum(1).unsqueeze(2)
        first = posteriors.mT @ reduced
        second = posteriors.mT @ reduced.square()
        by_mean = (first - mass * self.means) / self.variances.sqrt()
        spread = second - 2 * self.means * first + mass * self.means.square()
        by_deviation = (spread / self.variances - mass) / 2**0.5
        return torch.cat([by_mean, by_deviation], dim=1) / self.weights.sqrt().repeat(2)[:, None]


def fit_mixture(
    descriptors: np.ndarray, dimension: int, gaussians: int, seed: int, device: torch.device
) -> Mixture:
    """PCA, then a mixture by expectation and maximisation.

    Args:
        descriptors: float32 (t, 128), at least as many as ``dimension`` and ``gaussians``.
        dimension: D, at most 128.
        gaussians: K.
        seed: of the descriptors that the Gaussians begin at, below 2^32.
        device: to put it on.
    """
    samples = descriptors.astype(np.float64)
    pca = PCA(dimension, svd_solver="covariance_eigh").fit(samples)
    # not k-means, whose threads take sums in any order
    mixture = GaussianMixture(gaussians, covariance_type="diag", max_iter=STEPS,
                              init_params="k-means++", random_state=seed)  # fmt: skip
    with warnings.catch_warnings():  # whether its last steps are small does not matter
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(pca.transform(samples))
    found = pca.mean_, pca.components_, mixture.weights_, mixture.means_, mixture.covariances_
    return Mixture(*(torch.from_numpy(each).to(device) for each in found))
