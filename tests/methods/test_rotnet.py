import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nat.methods.rotnet import Turns
from nat.network.model import Network
from nat.runtime.settings.params import ModelSettings

SMALL = ModelSettings(preprocessing="sobel", trunk="small", hidden=16, dropout=0.0)


@pytest.mark.parametrize("copies", [1, 2, 4])
def test_each_copy_is_turned_as_its_label_says(copies: int) -> None:
    torch.manual_seed(0)
    task = Turns(Network(SMALL, 28, 4), copies).eval()
    seen: list[torch.Tensor] = []
    logits: list[torch.Tensor] = []
    task.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    task.network.register_forward_hook(lambda _, __, outputs: logits.append(outputs))
    images = torch.randint(0, 256, (12, 1, 28, 28), dtype=torch.uint8)
    loss, measures = task(images, torch.arange(12))
    assert seen[0].shape == (12 * copies, 1, 28, 28)
    turns = []
    for index, shown in enumerate(seen[0].numpy()):
        image = images[index % 12].numpy()
        (turn,) = (k for k in range(4) if (np.rot90(image, k, (1, 2)) == shown).all())
        turns.append(turn)
    of_each = np.array(turns).reshape(copies, 12).T
    assert all(len(set(each)) == copies for each in of_each.tolist())  # no turn twice
    if copies > 1:
        assert len({tuple(each) for each in of_each.tolist()}) > 1  # and not the same for all
    labels = torch.tensor(turns)
    assert torch.allclose(loss, F.nll_loss(logits[0].log_softmax(1), labels))
    right = (logits[0].argmax(1) == labels).double().mean()
    assert measures["accuracy"] == pytest.approx(100 * right.item(), abs=1e-3)
