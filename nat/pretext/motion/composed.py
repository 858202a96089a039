"""Composed motion: pairs of frames made of still images by known motion, on the device.

Stills have no motion, so it is made: a camera moves over an image, or an image, as an object, over
another one. Of a sequence the methods look at two frames alone, so these two are made.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

AXES = ("across", "down", "turn", "zoom")  # a motion's numbers, in this order
EDGE = 0.1  # of an object, over which it fades; half an image's side is 1


def transformations(motions: torch.Tensor) -> torch.Tensor:
    """Maps from where a pixel is in a frame to the point of the scene that it shows.

    Args:
        motions: float (b, 4), where the frame's middle is, across and down, in halves of an image's
            side; its turn about the view axis, radians; the natural logarithm of the zoom.

    Returns:
        float (b, 3, 3), on homogeneous coordinates (x, y, 1) with x and y from -1 to 1.
    """
    across, down, turn, zoom = motions.unbind(1)
    scale, zero = torch.exp(-zoom), torch.zeros_like(zoom)
    cosine, sine = scale * torch.cos(turn), scale * torch.sin(turn)
    rows = [cosine, -sine, across, sine, cosine, down, zero, zero, zero + 1]
    return torch.stack(rows, 1).unflatten(1, (3, 3))


def look(images: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    """What frames show of images; beyond its edges an image goes on mirrored.

    Args:
        images: float (b, c, h, w).
        maps: float (b, 3, 3), see ``transformations``.

    Returns:
        float (b, c, h, w).
    """
    grid = F.affine_grid(maps[:, :2], list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def largest(shift: float, turn: float, zoom: float) -> torch.Tensor:
    """The largest motion along each axis, as ``transformations`` takes it: float (4,).

    Args:
        shift: of the middle, as a share of an image's side.
        turn: degrees.
        zoom: factor, 1 or more.
    """
    return torch.tensor([2 * shift, 2 * shift, math.radians(turn), math.log(zoom)])


class CameraMotion(nn.Module):
    """A camera that moves over an image: a pair of frames, and the classes of its motion.

    The motion is uniform between its extremes along each axis, in bins of the same width, the
    classes. It is that of the second frame in the first one's coordinates; the first is moved by
    half of it the other way, so that both show what lies beyond the image's edges alike.
    """

    axes = AXES
    most: torch.Tensor

    def __init__(self, most: torch.Tensor, bins: int, field: float) -> None:
        """``most`` is float (4,), see ``largest``; ``field`` the side that a camera sees, of 1."""
        super().__init__()
        self.bins, self.field = bins, field
        self.register_buffer("most", most, persistent=False)

    def forward(
        self, images: torch.Tensor, rows: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Images, uint8 (b, c, h, w), to pairs, float (b, 2, c, h, w), and int64 (b, 4)."""
        with torch.autocast(images.device.type, enabled=False):
            places = torch.rand(len(images), len(AXES), device=images.device)
            pairs = self.frames(images.float(), (2 * places - 1) * self.most)
        return pairs, (places * self.bins).long().clamp(max=self.bins - 1)

    def frames(self, images: torch.Tensor, motions: torch.Tensor) -> torch.Tensor:
        """The pairs, float (b, 2, c, h, w), of float (b, c, h, w) and motions, float (b, 4)."""
        seen = torch.tensor([self.field, self.field, 1.0], device=images.device).diag()
        first = transformations(-motions / 2)
        maps = (first @ seen, first @ transformations(motions) @ seen)
        return torch.stack([look(images, each) for each in maps], 1)


class MovingObject(nn.Module):
    """An image as an object that moves over another image: what a tracker cuts out, twice.

    The object is the round part of an image of the batch, the background the image before it. The
    tracker keeps the object about in the middle of its patch, so that it is moved, turned and
    zoomed a little there, and the background behind it is anywhere.
    """

    most: torch.Tensor

    def __init__(self, most: torch.Tensor, travel: float) -> None:
        """How far things move between the frames.

        Args:
            most: float (4,), of the object within its patch; see ``largest``.
            travel: largest shift of the background, as a share of an image's side.
        """
        super().__init__()
        self.register_buffer("most", most, persistent=False)
        self.travel = travel

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images, uint8 (b, c, h, w), to the first and last patch of each, float (b, 2, ...)."""
        with torch.autocast(images.device.type, enabled=False):
            objects = images.float()
            return torch.stack([self.patch(objects) for _ in range(2)], 1)

    def patch(self, images: torch.Tensor) -> torch.Tensor:
        """An object in front of its background, at a time: float (b, c, h, w), as the images."""
        drawn = 2 * torch.rand(2, len(images), len(AXES), device=images.device) - 1
        over = transformations(drawn[0] * self.most)
        behind = torch.eye(3, device=images.device).repeat(len(images), 1, 1)
        behind[:, :2, 2] = 2 * self.travel * drawn[1, :, :2]
        covered = self.covered(over, images)
        background = look(images.roll(1, 0), behind)
        return covered * look(images, over) + (1 - covered) * background

    def covered(self, maps: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """How much of each pixel is the object's: float (b, 1, h, w), from 0 to 1."""
        grid = F.affine_grid(maps[:, :2], list(images.shape), align_corners=False)
        return ((1 - grid.norm(dim=3)) / EDGE).clamp(0, 1)[:, None]
