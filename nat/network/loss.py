"""The square loss of eq. 2 on unit vectors."""

import torch


def square_loss(features: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Eq. 2 on a batch, summed instead of halved and averaged: gradient 2 (f - y) per image.

    Args:
        features: (b, d), unit length.
        vectors: (b, d), the assigned targets.
    """
    return (features - vectors).square().sum()
