import pytest
import torch

from nat.methods import find_method, settings_of
from nat.methods.denoising import Denoising
from nat.network.front_ends import standardise
from nat.network.model import Trunk
from nat.pretext.corruption import hide, pixels
from nat.runtime.errors import UserError


def test_the_whole_clean_image_is_made_of_the_corrupted_one() -> None:
    task = Denoising(Trunk("small"), 28, 0.5)
    images = torch.randint(0, 256, (3, 1, 28, 28), dtype=torch.uint8)
    torch.manual_seed(1)
    error, _ = task(images, torch.arange(3))
    torch.manual_seed(1)
    made = task.decoder(task.trunk(hide(images, pixels(images, 0.5))))
    assert torch.allclose(error, (made - standardise(images)).square().mean())


@pytest.mark.parametrize("share", [0.0, 0.95, 1.0])
def test_a_share_that_leaves_nothing_to_do_or_to_see_is_refused(make_params, share: float) -> None:
    params = make_params(baselines={"denoising": {"corrupted": share}})
    with pytest.raises(UserError, match=r"params\.yaml: baselines\.denoising\.corrupted: .*than"):
        settings_of(find_method("denoising"), "denoising", params)
