import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML
from tiny import EMBEDDED, PROJECT

from nat.cli import main
from nat.runtime.errors import UserError
from nat.runtime.io.files import atomic_write
from nat.runtime.io.outputs import Kind
from nat.runtime.settings.load import load_params
from nat.runtime.settings.profiles import BASE, base_of, profiles, render, switch

FOLDER = PROJECT / "profiles"
NAMES = sorted({BASE, *(file.stem for file in FOLDER.glob("*.yaml"))})
OTHER = """# Another one.
# accuracy: not measured yet

permute_every: never # a remark
seeds: [4, 5]
images:
  train: null
model:
  dropout: 0.25
ablations:
  labels: [model.preprocessing=clean]
"""


def comments(text: str) -> list[str]:
    return re.findall("#.*", text)


def values(text: str) -> dict:
    return YAML(typ="safe").load(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a profile ``other``."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "other.yaml").write_text(OTHER)
    return tmp_path / "profiles"


@pytest.fixture
def path(folder: Path) -> Path:
    """params.yaml, the embedded profile."""
    file = folder.parent / "params.yaml"
    file.write_text(EMBEDDED.read_text())
    return file


@pytest.fixture
def switched(path: Path, folder: Path) -> Path:
    """params.yaml, switched to ``other``."""
    switch("other", path, folder)
    return path


def test_what_macos_leaves_beside_a_profile_is_none(folder: Path, path: Path) -> None:
    (folder / "._other.yaml").write_bytes(b"\x00\x05\x16\x07")
    assert list(profiles(folder, path)) == ["embedded", "other"]


def test_there_is_no_second_copy_of_the_settings() -> None:
    if values((PROJECT / "params.yaml").read_text())["profile"] != BASE:
        pytest.skip("params.yaml follows another profile")
    assert base_of(PROJECT / "params.yaml") == PROJECT / "params.yaml"


def test_there_are_the_profiles_of_the_docs() -> None:
    assert {"cifar10", "cifar10-long", "embedded", "imagenet"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_valid_and_keeps_every_comment(name: str, tmp_path: Path) -> None:
    text = render(name, FOLDER, EMBEDDED)
    (tmp_path / "params.yaml").write_text(text)
    assert load_params(tmp_path / "params.yaml").profile == name
    header, _, body = text.partition("\n\n")
    assert comments(body) == comments(EMBEDDED.read_text().partition("\n\n")[2])
    assert profiles(FOLDER, EMBEDDED)[name] == re.sub(r"(?m)^# ?", "", header)
    assert not re.search(r"\S  +#", text)


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_says_what_to_expect(name: str) -> None:
    lines = profiles(FOLDER, EMBEDDED)[name].splitlines()
    for word in ("accuracy", "time", "hardware"):
        (line,) = [line for line in lines if line.startswith(f"{word}: ")]
        assert re.search(r"measured|computed|the paper's", line)


@pytest.mark.parametrize("name", [name for name in NAMES if name != BASE])
def test_a_profile_holds_only_what_differs(name: str) -> None:
    def same(changes: dict, base: dict) -> list[str]:
        found = []
        for key, value in changes.items():
            if isinstance(value, dict):
                found += same(value, base[key])
            elif value == base[key]:
                found.append(key)
        return found

    assert same(values((FOLDER / f"{name}.yaml").read_text()), values(EMBEDDED.read_text())) == []


def test_the_imagenet_profile_is_the_papers() -> None:
    content = values(render("imagenet", FOLDER, EMBEDDED))
    assert (content["images"]["size"], content["augment"]["crop"]) == (256, 224)
    assert content["targets"]["dimension"] == 2048
    assert content["model"] == {
        "preprocessing": "sobel",
        "trunk": "alexnet",
        "hidden": 4096,
        "dropout": 0.5,
    }
    assert content["permute_every"] == 3
    train = content["pretrain"]
    assert (train["epochs"], train["batch_size"], train["lr"]) == (100, 256, 0.01)
    probe = {name: content["probe"][name] for name in ("epochs", "lr", "lr_hold", "lr_decay")}
    assert probe == {"epochs": 100, "lr": 0.1, "lr_hold": 20, "lr_decay": 0.3}
    assert content["finetune"]["iterations"] == 80000


def test_there_and_back_gives_the_same_bytes(folder: Path, path: Path) -> None:
    before = path.read_bytes()
    assert switch("other", path, folder) == [
        "profile: embedded -> other",
        "seeds: [0] -> [4, 5]",
        "permute_every: 3 -> never",
        "images.train: 10000 -> null",
        "model.dropout: 0.0 -> 0.25",
        "ablations.labels: "
        '["model.preprocessing=clean", "model.preprocessing=high-pass", '
        '"baselines.labels.loss=square"] -> ["model.preprocessing=clean"]',
        f"{path}: other",
    ]
    changed = set(path.read_text().splitlines()) - set(before.decode().splitlines())
    assert {line.split("#")[0].rstrip() for line in changed if line.split("#")[0]} == {
        "profile: other",
        "seeds: [4, 5]",
        "permute_every: never",
        "  train: null",
        "  dropout: 0.25",
    }
    assert path.with_name("params.embedded.yaml").read_bytes() == before
    assert len(switch("embedded", path, folder)) == 7
    assert path.read_bytes() == before
    assert switch("embedded", path, folder) == [f"{path}: embedded"]
    assert [file.name for file in path.parent.iterdir() if file.is_file()] == ["params.yaml"]


def test_a_missing_file_is_written(folder: Path, path: Path) -> None:
    before = path.read_bytes()
    switch("other", path, folder)
    path.unlink()
    switch("embedded", path, folder)
    assert path.read_bytes() == before
    path.unlink()
    with pytest.raises(UserError, match=r"params\.yaml: not found"):
        switch("embedded", path, folder)


def test_edits_of_the_embedded_profile_hold_in_the_others(folder: Path, path: Path) -> None:
    path.write_text(path.read_text().replace("lr: 0.3", "lr: 0.4"))
    edited = path.read_bytes()
    switch("other", path, folder)
    assert load_params(path).probe.lr == 0.4
    switch("embedded", path, folder)
    assert path.read_bytes() == edited


def test_a_lost_embedded_profile_is_told(folder: Path, switched: Path) -> None:
    switched.with_name("params.embedded.yaml").unlink()
    with pytest.raises(UserError, match=r"profile: other, but .*embedded\.yaml.* is gone"):
        switch("embedded", switched, folder)


def test_the_machines_settings_stay(folder: Path, path: Path) -> None:
    before = path.read_text()
    mine = before.replace("threads: auto", "threads: 16").replace("data: data", "data: /disk/data")
    path.write_text(mine)
    assert not [line for line in switch("other", path, folder) if line.startswith("machine")]
    assert load_params(path).machine.data == "/disk/data"
    switch("embedded", path, folder)
    assert path.read_text() == mine


def test_edits_are_refused_or_kept(folder: Path, switched: Path) -> None:
    path = switched
    path.write_text(path.read_text().replace("permute_every: never", "permute_every: 1"))
    edited = path.read_bytes()
    for name in ("other", "embedded"):
        with pytest.raises(UserError, match=r"a switch would lose \(permute_every: never -> 1\)"):
            switch(name, path, folder)
        assert path.read_bytes() == edited
    kept = path.with_name("params.yaml.bak")
    assert switch("other", path, folder, force=True) == [
        "permute_every: 1 -> never",
        f"the former file is now {kept}",
        f"{path}: other",
    ]
    assert kept.read_bytes() == edited
    path.write_text(path.read_text().replace("lr: 0.3", "lr: 0.4"))
    second = path.read_bytes()
    switch("embedded", path, folder, force=True)
    assert path.with_name("params.yaml.bak2").read_bytes() == second
    assert kept.read_bytes() == edited


def test_a_switch_that_failed_leaves_no_second_copy(
    folder: Path, switched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = switched
    former = path.read_text() + "# mine\n"
    path.write_text(former)

    @contextmanager
    def full(target: Path, *kind: Kind) -> Iterator[Path]:
        if target == path:
            raise UserError("no space")
        with atomic_write(target, *kind) as temporary:
            yield temporary

    with monkeypatch.context() as patch:
        patch.setattr("nat.runtime.settings.profiles.atomic_write", full)
        with pytest.raises(UserError, match="no space"):
            switch("embedded", path, folder, force=True)
    assert path.read_text() == former
    assert f"the former file is now {path}.bak" in switch("embedded", path, folder, force=True)
    assert {f.name for f in folder.parent.glob("params*")} == {"params.yaml", "params.yaml.bak"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("# l_0 of section 3.3", "# mine", "comments"),
        ("profile: other", "profile: mine", "profile: mine is none of"),
        ("  clip: 10.0", "  more: 1\n  clip: 10.0", r"finetune.more: nothing -> 1"),
        ("  clip: 10.0", "  # clip", r"finetune.clip: 10.0 -> nothing"),
        ("  threads: auto", "  threads: auto\n  gpus: 8", r"machine.gpus: nothing -> 8"),
    ],
)
def test_anything_of_the_users_is_an_edit(
    old: str, new: str, said: str, folder: Path, switched: Path
) -> None:
    path, text = switched, switched.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=said):
        switch("embedded", path, folder)
    assert path.read_text() == text.replace(old, new)


def test_layout_alone_is_no_edit(folder: Path, switched: Path) -> None:
    """As `dvc exp run -S` leaves it, which writes null as nothing."""
    path = switched
    path.write_text(path.read_text().replace("folder: null #", "folder:      #"))
    switch("embedded", path, folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pretrain:\n  epoch: 3\n", r"other\.yaml: pretrain\.epoch: unknown setting; known here: "),
        ("permute_evry: 3\n", r"other\.yaml: permute_evry: unknown setting; known here: profile"),
        ("pretrain: 3\n", r"other\.yaml: pretrain: is a group of settings in the profile embedded"),
        ("permute_every:\n  a: 3\n", r"permute_every: is one setting in the profile embedded"),
        ("permute_every: 0\n", r"other\.yaml: permute_every: should be greater than 0"),
        ("augment:\n  crop: 64\n", r"other\.yaml: augment\.crop: 64 is larger than images\.size"),
        ("machine:\n  threads: 3\n", r"other\.yaml: machine: is set by no profile"),
        ("profile: mine\n", r"other\.yaml: profile: is set by no profile"),
        ("seeds: [1\n", r"other\.yaml: not valid YAML"),
        ("seeds: [1]\nseeds: [2]\n", r"other\.yaml: not valid YAML"),
        ("- 1\n", r"other\.yaml: should hold named settings"),
    ],
)
def test_a_wrong_profile_is_named_and_changes_nothing(
    text: str, said: str, folder: Path, path: Path
) -> None:
    before = path.read_bytes()
    (folder / "other.yaml").write_text(f"# Another one.\n\n{text}")
    with pytest.raises(UserError, match=said) as caught:
        switch("other", path, folder)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_other_faults_are_named(folder: Path, path: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no profile 'paper'; known: embedded, other"):
        switch("paper", path, folder)
    with pytest.raises(UserError, match="run in the project's folder"):
        switch("other", tmp_path / "none.yaml", folder)
    path.write_text("a: [")
    with pytest.raises(UserError, match=r"params\.yaml: not valid YAML"):
        switch("other", path, folder, force=True)
    (folder / "other.yaml").write_text("seeds: [1]\n")
    with pytest.raises(UserError, match=r"other\.yaml: should open with comment lines"):
        profiles(folder, EMBEDDED)


def test_the_command(folder: Path, path: Path) -> None:
    def run(*words: str) -> Result:
        places = ["--params", str(path), "--profiles", str(folder)]
        return CliRunner().invoke(main, ["profile", *places, *words])

    assert "other\n  Another one.\n  accuracy: not measured yet\n" in run("--list").output
    result = run("other")
    assert result.exit_code == 0
    assert "permute_every: 3 -> never\n" in result.output
    assert result.output.endswith(f"{path}: other\n")
    assert run("other").output == f"{path}: other\n"
    path.write_text(path.read_text().replace("dropout: 0.25", "dropout: 0.3"))
    assert run("embedded").exit_code == 1
    assert f"the former file is now {path}.bak\n" in run("embedded", "--force").output
