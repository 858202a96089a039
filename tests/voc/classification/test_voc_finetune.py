import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from tiny import PROJECT

from nat.data.seeds import generator
from nat.network import session
from nat.network.model import Network, Trunk, initialise, load_network, save_network
from nat.runtime import resume
from nat.runtime.errors import UserError
from nat.runtime.naming import Name
from nat.runtime.settings.params import Params
from nat.voc.classification import finetune as classify
from nat.voc.classification.finetune import finetune, make_network, masked_loss
from nat.voc.data.manifest import open_voc
from nat.voc.data.prepare import prepare_voc

NAT = Name("nat")


def result(file: Path) -> dict[str, Any]:
    content = json.loads(file.read_text())
    del content["provenance"]["seconds"]
    return content


def changed(params: Params, **settings: Any) -> Params:
    return Params.model_validate(
        params.model_dump() | {"finetune": params.finetune.model_dump() | settings}
    )


def test_loss_leaves_out_difficult() -> None:
    logits = torch.randn(4, 3, generator=generator(0), requires_grad=True)
    labels = torch.tensor([[1, 0, -1], [0, 0, 1], [-1, -1, -1], [1, 1, 0]])
    loss = masked_loss(logits, labels)
    each = -torch.log(torch.where(labels == 1, logits.sigmoid(), 1 - logits.sigmoid()))
    torch.testing.assert_close(loss, each[labels >= 0].sum() / 4)
    loss.backward()
    assert ((logits.grad == 0) == (labels == -1)).all()


def test_divergence_is_found_in_the_next_step(
    composed: tuple[Params, Path], network_file: Path, tmp_path: Path, poison: Any
) -> None:
    poison(2)
    with pytest.raises(UserError, match=r"^finetune\.lr: the loss is nan \(epoch 1, step 3; "):
        finetune(composed[0], NAT, composed[1], network_file, "all", tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()
    assert not list(tmp_path.glob("scratch/*/state.pt"))


@pytest.mark.parametrize("layers", ["fc6-8", "all"])
def test_deepclusters_batch_norm_keeps_its_statistics(
    composed: tuple[Params, Path], network_file: Path, tmp_path: Path, layers: Any
) -> None:
    """Against the same trunk in evaluation mode: what is learnt is weights, never statistics."""
    params, manifest = composed
    params = changed(params, variant="deepcluster", scale=[0.1, 0.5])
    _, trainval, _ = open_voc(params, manifest)
    trunk = load_network(network_file).trunk
    network = make_network(
        trunk, trainval.images(), 10, params.finetune, 0, torch.device("cpu")
    ).train()
    assert network.hidden.training
    before = {name: value.clone() for name, value in network.trunk.named_buffers()}
    assert any("running_mean" in name for name in before)
    images = torch.rand(4, 1, params.finetune.input, params.finetune.input) * 255
    expected = load_network(network_file).trunk.eval()(images)
    torch.testing.assert_close(network.trunk(images), expected)
    assert all(torch.equal(before[name], value) for name, value in network.trunk.named_buffers())

    finetune(params, NAT, manifest, network_file, layers, tmp_path / "d.json")
    finetune(changed(params, variant="philkr"), NAT, manifest, network_file, layers, tmp_path / "p")
    found = [result(tmp_path / name)["measured"] for name in ("d.json", "p")]
    assert found[0] != found[1]


@pytest.mark.parametrize("layers", ["fc6-8", "all"])
def test_result(
    composed: tuple[Params, Path], network_file: Path, tmp_path: Path, layers: Any
) -> None:
    params, manifest = composed
    out = tmp_path / "out.json"
    finetune(params, NAT, manifest, network_file, layers, out)
    found = result(out)
    aps = found["measured"]["ap"]
    known = [ap for ap in aps.values() if ap is not None]
    assert list(aps) == json.loads(manifest.read_text())["classes"]
    assert all(0 <= ap <= 100 for ap in known)
    assert found["measured"]["map"] == pytest.approx(sum(known) / len(known), abs=0.02)
    where = found["provenance"]
    assert where["data"] == "fashion-mnist-voc"
    assert found["stage"] == f"finetune-{layers}"
    used = {"precision": "float32", "evaluate_on": "test", "finetune": params.finetune.model_dump()}
    assert where["parameters"] == used
    assert not list(Path(params.machine.scratch).iterdir())
    finetune(params, NAT, manifest, network_file, layers, tmp_path / "again.json")
    assert result(tmp_path / "again.json") == found


@pytest.mark.parametrize("layers", ["fc6-8", "all"])
def test_what_is_trained(
    composed: tuple[Params, Path],
    network_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    layers: Any,
) -> None:
    params, manifest = composed
    networks, before = [], []
    original = classify.make_network

    def make(*arguments: Any) -> Any:
        networks.append(original(*arguments))
        before.append({name: v.clone() for name, v in networks[0].state_dict().items()})
        return networks[0]

    monkeypatch.setattr(classify, "make_network", make)
    finetune(params, NAT, manifest, network_file, layers, tmp_path / "out.json")
    for name, value in networks[0].state_dict().items():
        frozen = layers == "fc6-8" and name.startswith("trunk")
        assert torch.equal(value, before[0][name]) == frozen, name


@pytest.mark.parametrize("layers", ["fc6-8", "all"])
@pytest.mark.parametrize("killed_in", ["training", "test"])
def test_killed_run_resumes_exactly(
    composed: tuple[Params, Path],
    network_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    layers: Any,
    killed_in: str,
) -> None:
    params, manifest = composed
    params = changed(params, iterations=20, lr_halve_every=7)  # 3 1/3 epochs of 6 batches
    finetune(params, Name(seed=1), manifest, network_file, layers, tmp_path / "whole.json")

    calls = 0
    name = "masked_loss" if killed_in == "training" else "mean_average_precision"
    original = getattr(classify, name)

    def dies(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == (15 if killed_in == "training" else 1):  # in the middle of the third epoch
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(classify, name, dies)
        with pytest.raises(KeyboardInterrupt):
            finetune(params, Name(seed=1), manifest, network_file, layers, tmp_path / "killed.json")
    assert not (tmp_path / "killed.json").exists()
    trained = []

    def counts(*arguments: Any) -> torch.Tensor:
        trained.append(1)
        return masked_loss(*arguments)

    monkeypatch.setattr(classify, "masked_loss", counts)
    finetune(params, Name(seed=1), manifest, network_file, layers, tmp_path / "killed.json")
    assert len(trained) == (8 if killed_in == "training" else 0)  # two epochs were kept
    assert result(tmp_path / "killed.json") == result(tmp_path / "whole.json")


def test_fits_the_images_it_is_trained_on(
    make_params: Any,
    objects: Any,
    network_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    params, manifest = make_params(voc={"size": [40, 40]}), tmp_path / "voc.json"
    prepare_voc(params, manifest)
    source, trainval, _ = open_voc(params, manifest)
    monkeypatch.setattr(classify, "open_voc", lambda *_: (source, trainval, trainval))
    found = []
    for iterations in (1, 120):
        settings = changed(
            params, iterations=iterations, batch_size=12, hidden=64, scale=[1.0, 1.0], lr=0.003
        )
        finetune(settings, NAT, manifest, network_file, "all", tmp_path / "out.json")
        found.append(result(tmp_path / "out.json")["measured"]["map"])
    assert found[0] < 60
    assert found[1] > 90


def test_a_trunk_of_colours_sees_colours(
    composed: tuple[Params, Path], make_params: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    params, manifest = composed
    file = tmp_path / "colours.safetensors"
    untrained = Network(make_params(model={"preprocessing": "clean"}).model, 28, 8, 3)
    initialise(untrained, generator(0, "network"))
    save_network(untrained, file)
    seen = set()
    original = classify.Classifier.forward

    def noted(network: classify.Classifier, images: torch.Tensor) -> torch.Tensor:
        seen.add((network.hidden.training, images.shape[1]))
        return original(network, images)

    monkeypatch.setattr(classify.Classifier, "forward", noted)
    finetune(params, NAT, manifest, file, "all", tmp_path / "out.json")
    assert seen == {(True, 3), (False, 3)}


@pytest.mark.parametrize("variant", ["philkr", "deepcluster"])
def test_a_dense_trunk_is_fine_tuned(
    composed: tuple[Params, Path],
    make_params: Any,
    tmp_path: Path,
    monkeypatch: Any,
    variant: str,
) -> None:
    params, manifest = composed
    file = tmp_path / "dense.safetensors"
    dense = Network(make_params(model={"trunk": "small-dense"}).model, 28, 8)
    initialise(dense, generator(0, "network"))
    save_network(dense, file)
    seen = set()
    original = classify.Classifier.forward

    def noted(network: classify.Classifier, images: torch.Tensor) -> torch.Tensor:
        seen.add((network.trunk.name, network.hidden.fc6.in_features))
        return original(network, images)

    monkeypatch.setattr(classify.Classifier, "forward", noted)
    finetune(changed(params, variant=variant), NAT, manifest, file, "all", tmp_path / "out.json")
    assert seen == {("small-dense", 64 * 5 * 5)}


def test_the_seconds_are_those_of_all_work(
    composed: tuple[Params, Path], network_file: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """Of preparation, rescaling included, of training and of the test."""
    params, manifest = composed
    clock = [1000.0]
    for module in (session, resume):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def takes(name: str, seconds: float) -> None:
        original = getattr(classify, name)

        def slow(*arguments: Any) -> Any:
            clock[0] += seconds
            return original(*arguments)

        monkeypatch.setattr(classify, name, slow)

    for name, seconds in (("make_network", 50), ("masked_loss", 2), ("tested", 300)):
        takes(name, seconds)
    finetune(params, NAT, manifest, network_file, "all", tmp_path / "out.json")
    told = json.loads((tmp_path / "out.json").read_text())["provenance"]["seconds"]
    assert told == pytest.approx(50 + 4 * 2 + 300)


def test_start_does_not_change_the_trunks_direction(
    composed: tuple[Params, Path], network_file: Path
) -> None:
    """With a frozen trunk, rescaling has changed its output by one positive factor only."""
    params, manifest = composed
    images = open_voc(params, manifest)[1].images()
    trunk = load_network(network_file).trunk.eval()
    network = make_network(trunk, images, 10, params.finetune, 0, torch.device("cpu"))
    batch = torch.stack([image[:40, :40] for image in images[:8]])[:, None]
    with torch.no_grad():
        before, after = trunk(batch).flatten(), network.trunk(batch).flatten()
    cosine = float(before @ after / (before.norm() * after.norm()))
    assert cosine == pytest.approx(1, abs=1e-4)
    assert torch.all(network.fc8.bias == 0.1)
    assert float(network.fc8.weight.detach().std()) == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 1e6, "clip": 1e6}, r"finetune\.lr: the loss is (nan|inf)"),
        ({"batch_size": 25}, r"finetune\.batch_size: 25 is larger than the 24 images"),
    ],
)
def test_refusals(
    composed: tuple[Params, Path],
    network_file: Path,
    tmp_path: Path,
    settings: dict[str, Any],
    message: str,
) -> None:
    params, manifest = composed
    out = tmp_path / "out.json"
    with pytest.raises(UserError, match=message):
        finetune(changed(params, **settings), NAT, manifest, network_file, "all", out)
    assert not out.exists()


def test_input_too_small_for_the_trunk(make_params: Any) -> None:
    settings = make_params(finetune={"input": 16}).finetune
    images = [torch.zeros(40, 40, dtype=torch.uint8)]
    with pytest.raises(UserError, match=r"finetune\.input: 16 px is too small"):
        make_network(Trunk("alexnet"), images, 2, settings, 0, torch.device("cpu"))


# the command, keeping the scores that average precision is computed from
KEEPING = """
import os, pathlib, sys
import numpy as np
from nat.cli import main
from nat.voc.classification import finetune as classify

def keeps(scores, labels):
    np.save(pathlib.Path(__file__).with_name("scores" + os.environ["RANK"]), scores)
    return original(scores, labels)

original, classify.mean_average_precision = classify.mean_average_precision, keeps
main()
"""


def by_torchrun(params: Params, manifest: Path, network: Path, folder: Path) -> str:
    """What two processes say on fine-tuning all layers; scores and result lie in the folder."""
    folder.mkdir()
    YAML().dump(params.model_dump(mode="json"), folder / "params.yaml")
    (folder / "keeping.py").write_text(KEEPING)
    words = f"-m torch.distributed.run --standalone --nproc-per-node 2 {folder}/keeping.py finetune"
    words += f" --layers all --params {folder}/params.yaml --voc {manifest} --network {network}"
    done = subprocess.run(
        [sys.executable, *words.split(), "--out", f"{folder}/out.json"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    return done.stderr


def test_two_processes_do_what_one_does(
    composed: tuple[Params, Path],
    network_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without dropout nothing depends on who has which part of a batch, but for rounding."""
    params, manifest = composed
    params = changed(params, iterations=10, batch_size=4, dropout=0.0)
    folder = tmp_path / "two"
    said = by_torchrun(params, manifest, network_file, folder)
    assert (folder / "out.json").exists(), said
    assert json.loads((folder / "out.json").read_text())["provenance"]["processes"] == 2
    assert not list(Path(params.machine.scratch).iterdir())
    two = [np.load(folder / f"scores{rank}.npy") for rank in (0, 1)]
    np.testing.assert_array_equal(*two)

    one = []
    monkeypatch.setattr(
        classify, "mean_average_precision", lambda scores, _: (0.0, one.append(scores) or [0] * 10)
    )
    for settings in (params, changed(params, lr=0.97 * params.finetune.lr)):
        finetune(settings, NAT, manifest, network_file, "all", tmp_path / "one.json")
    wrong, slower = (np.abs(scores - one[0]).max() for scores in (two[0], one[1]))
    assert wrong < slower / 10  # of a learning rate 3 % smaller


def test_a_batch_that_two_processes_cannot_share(
    composed: tuple[Params, Path], network_file: Path, tmp_path: Path
) -> None:
    params, manifest = composed
    folder = tmp_path / "two"
    said = by_torchrun(changed(params, batch_size=3), manifest, network_file, folder)
    assert "error: finetune.batch_size: 3 images cannot be shared by 2 processes" in said
    assert not (folder / "out.json").exists()
