"""Fisher vectors against autograd's gradients of scikit-learn's likelihood, and scikit-image's."""

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture

from nat.fisher.encoding import Mixture, fit_mixture

DRAWS = np.random.default_rng(0)
CPU = torch.device("cpu")


def samples(n: int) -> np.ndarray:
    """Descriptors around four places, float32 of unit length."""
    places = DRAWS.normal(size=(4, 128))
    found = places[DRAWS.integers(0, 4, n)] + 0.5 * DRAWS.normal(size=(n, 128))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def mixture() -> Mixture:
    return fit_mixture(samples(2000), 6, 5, 0, CPU)


def as_sklearn(mixture: Mixture) -> GaussianMixture:
    made = GaussianMixture(len(mixture.weights), covariance_type="diag")
    made.weights_, made.means_ = mixture.weights.numpy(), mixture.means.numpy()
    made.covariances_ = mixture.variances.numpy()
    made.precisions_cholesky_ = 1 / np.sqrt(made.covariances_)
    return made


def reduced(mixture: Mixture, described: np.ndarray) -> np.ndarray:
    return (described.astype(np.float64) - mixture.centre.numpy()) @ mixture.axes.numpy().T


def test_posteriors_are_scikit_learns(mixture: Mixture) -> None:
    x = reduced(mixture, samples(50))
    expected = as_sklearn(mixture).predict_proba(x)
    assert np.allclose(mixture.posteriors(torch.from_numpy(x)), expected, atol=1e-9)


def finished(gradient: torch.Tensor) -> torch.Tensor:
    powered = gradient.sign() * gradient.abs().sqrt()
    return powered / powered.norm()


def test_they_are_gradients_of_the_mean_log_likelihood(mixture: Mixture) -> None:
    described = [samples(30), samples(7)]
    found = mixture.fisher_vectors(described)
    assert found.shape == (2, 2 * 5 * 6)
    assert found.dtype == torch.float32
    for vector, each in zip(found, described, strict=True):
        means = mixture.means.clone().requires_grad_()
        deviations = mixture.variances.sqrt().requires_grad_()
        of_each = torch.distributions.MixtureSameFamily(
            torch.distributions.Categorical(mixture.weights),
            torch.distributions.Independent(torch.distributions.Normal(means, deviations), 1),
        )
        of_each.log_prob(torch.from_numpy(reduced(mixture, each))).mean().backward()
        # roots of the Fisher information: sqrt(w) / sigma and sqrt(2 w) / sigma
        weights, sigma = mixture.weights.sqrt()[:, None], deviations.detach()
        by_mean, by_deviation = means.grad * sigma / weights, deviations.grad * sigma / weights
        expected = torch.cat([by_mean.flatten(), by_deviation.flatten() / 2**0.5])
        assert torch.allclose(vector.double(), finished(expected), atol=1e-6)
        assert vector.norm().item() == pytest.approx(1)


def test_they_are_scikit_images(mixture: Mixture) -> None:
    feature = pytest.importorskip("skimage.feature")
    each = samples(40)
    whole = feature.fisher_vector(reduced(mixture, each), as_sklearn(mixture), improved=False)
    # which begins with gradients by the weights, by variances with the other sign and factors
    k, kd = 5, 30
    by_mean = torch.from_numpy(whole[k : k + kd])
    by_deviation = -torch.from_numpy(whole[k + kd :])
    found = mixture.fisher_vectors([each])[0]
    ours = found.sign() * found.square()
    for part, expected in ((ours[:kd], by_mean), (ours[kd:], by_deviation)):
        cosine = torch.nn.functional.cosine_similarity(part.double(), expected, dim=0)
        assert cosine.item() == pytest.approx(1, abs=1e-5)


def test_an_image_is_encoded_alone_and_in_any_order(mixture: Mixture) -> None:
    a, b = samples(12), samples(40)
    both = mixture.fisher_vectors([a, b])
    assert torch.allclose(both[0], mixture.fisher_vectors([a])[0], atol=1e-6)
    assert torch.allclose(both[1], mixture.fisher_vectors([b[::-1].copy()])[0], atol=1e-6)
    twice = mixture.fisher_vectors([np.concatenate([a, a])])[0]
    assert torch.allclose(both[0], twice, atol=1e-6)


def test_an_image_without_descriptors_is_zero(mixture: Mixture) -> None:
    none = np.empty((0, 128), np.float32)
    found = mixture.fisher_vectors([none, samples(5)])
    assert found[0].abs().max() == 0
    assert found[1].norm().item() == pytest.approx(1)
    assert mixture.fisher_vectors([none]).abs().max() == 0


def test_the_mixture_finds_what_is_there_and_follows_its_seed() -> None:
    x = samples(3000)
    one, same = (fit_mixture(x, 8, 4, 1, CPU) for _ in range(2))
    assert all(torch.equal(getattr(one, n), getattr(same, n)) for n in ("means", "variances"))
    assert not torch.equal(one.means, fit_mixture(x, 8, 4, 2, CPU).means)
    assert torch.allclose(one.weights.sum(), torch.tensor(1.0, dtype=torch.float64))
    # PCA: orthonormal axes of the largest variance
    assert torch.allclose(one.axes @ one.axes.T, torch.eye(8, dtype=torch.float64), atol=1e-6)
    spectrum = np.linalg.eigvalsh(np.cov(x.T.astype(np.float64)))[::-1]
    assert np.allclose(np.var(reduced(one, x), axis=0, ddof=1), spectrum[:8], rtol=1e-6)
