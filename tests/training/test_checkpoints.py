"""An interrupted training ends with the same bits, and never uses another run's checkpoints."""

import contextlib
import dataclasses
import importlib
import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from dvc.utils.serialize import loads_yaml
from made_up import network_of
from outputs import WRITTEN, another_writer

from cardpose.params import Params
from cardpose.training.callbacks import SaveEpoch, StopOnDivergence
from cardpose.training.checkpoints import fingerprint, read_checkpoint, resumable, write_checkpoint
from cardpose.training.recipes import pretrain, train

ROOT = Path(__file__).parents[2]

ROLE = np.array(["train"] * 8 + ["validation"] * 4)


class Cut(Exception):
    """In place of kill -9."""


def test_a_second_training_is_refused_while_the_first_uses_the_folder(
    tmp_path,
    no_waiting,
    complains,
):
    folder = tmp_path / "checkpoints"
    with contextlib.suppress(Cut), resumable(folder, "first"):
        (folder / "whole").write_text("an epoch")
        raise Cut
    with another_writer("locked", folder):
        with complains(f"{folder}: {WRITTEN}"), resumable(folder, "second"):
            pytest.fail("the first one's are in there")
        assert (folder / "whole").read_text() == "an epoch"


@pytest.fixture
def longer(small):
    """As `small`, with more than one epoch in each part."""
    params, tensors = small
    values = params.model_dump(by_alias=True)
    values["pretrain"].update(half_size_epochs=1, epochs=2, closeup_epochs=2, edge_epochs=2)
    values["train"].update(epochs=3, closeup_epochs=2, edge_epochs=2)
    return Params(**values), tensors


@pytest.fixture
def cut(monkeypatch):
    """cut(work): call work() again and again; each time it is cut off in the middle of the second
    epoch that it trains. Returns what it returned at last, and how often it was called."""
    epochs = []
    save, watch = SaveEpoch.on_train_epoch_end, StopOnDivergence.on_train_batch_end

    def count(self, trainer, module):
        save(self, trainer, module)
        epochs.append(trainer.current_epoch)

    def stop(self, trainer, module, outputs, batch, batch_idx):
        watch(self, trainer, module, outputs, batch, batch_idx)
        if epochs:
            raise Cut

    monkeypatch.setattr(SaveEpoch, "on_train_epoch_end", count)
    monkeypatch.setattr(StopOnDivergence, "on_train_batch_end", stop)

    def repeat(work):
        for calls in range(1, 100):
            epochs.clear()
            try:
                return work(), calls
            except Cut:
                pass
        raise AssertionError("it never ends")

    return repeat


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def files_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_pretraining_interrupted_in_every_epoch_ends_with_the_same_network(longer, tmp_path, cut):
    params, tensors = longer
    straight, about = pretrain(tensors, np.arange(12), params)
    (weights, of), calls = cut(lambda: pretrain(tensors, np.arange(12), params, tmp_path))
    assert calls == 7  # an epoch each
    assert of == about
    assert same(straight, weights)


@pytest.mark.parametrize("deck", [52, 32])
def test_training_interrupted_in_every_epoch_ends_with_the_same_network_and_losses(
    longer, tmp_path, cut, deck
):
    params, tensors = longer
    start = pretrain(tensors, np.arange(12), params)
    tensors = dataclasses.replace(tensors, deck=deck)
    (tmp_path / "kept").mkdir()

    def work(log, *kept):
        if deck == 32:  # DVC deletes the log before it runs the stage again
            shutil.rmtree(log, ignore_errors=True)
        weights, about = ({k: v.clone() for k, v in start[0].items()}, dict(start[1]))
        return train(tensors, ROLE, network_of(weights, about), about, params, log, *kept)

    straight, about = work(tmp_path / "straight")
    (weights, of), calls = cut(lambda: work(tmp_path / "cut", tmp_path / "kept"))
    assert calls == 7
    assert of == about
    assert same(straight, weights)
    logged = files_of(tmp_path / "straight")
    assert logged == files_of(tmp_path / "cut")
    epochs = {"whole": 3, "closeups": 2, "edges": 2}
    for (part, count), split in itertools.product(epochs.items(), ("train", "validation")):
        rows = logged[Path("plots/metrics") / part / split / "total.tsv"].decode().splitlines()
        assert [row.split("\t")[0] for row in rows] == ["step", *map(str, range(count))]


@pytest.fixture
def stopped(small, tmp_path, monkeypatch):
    """Parameters, tensors, and the folder of checkpoints of a pretraining that was cut off when
    the last of its parts was to begin."""
    params, tensors = small
    folder = tmp_path / "stopped"

    def stop(self, trainer, module, outputs, batch, batch_idx):
        if self.part.name == "edges":
            raise Cut

    def work():
        with resumable(folder, "as before") as checkpoints:
            pretrain(tensors, np.arange(12), params, checkpoints)

    with monkeypatch.context() as patch:
        patch.setattr(StopOnDivergence, "on_train_batch_end", stop)
        with pytest.raises(Cut):
            work()
    return params, tensors, folder


def test_another_configuration_starts_anew_and_a_finished_run_leaves_nothing(stopped, capsys):
    params, tensors, folder = stopped
    capsys.readouterr()
    lower = params.model_copy(update={"seed": 1})
    straight, _ = pretrain(tensors, np.arange(12), lower)
    with resumable(folder, "something else") as checkpoints:
        weights, _ = pretrain(tensors, np.arange(12), lower, checkpoints)
    assert same(straight, weights)
    assert "goes on" not in capsys.readouterr().out
    assert not folder.exists()


def flip(data):
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


DAMAGES = {
    "truncated": lambda data: data[: len(data) // 2],
    "garbage": lambda data: b"\x00garbage" * 100,
    "empty": lambda data: b"",
    "flipped bit": flip,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_reads_as_none(tmp_path, damage):
    path = tmp_path / "part"
    assert read_checkpoint(path) is None
    write_checkpoint(path, {"weights": torch.arange(1000.0)})
    assert same(read_checkpoint(path), {"weights": torch.arange(1000.0)})
    path.write_bytes(damage(path.read_bytes()))
    assert read_checkpoint(path) is None


def test_a_part_with_a_damaged_checkpoint_is_trained_again_with_the_same_result(stopped, capsys):
    params, tensors, folder = stopped
    straight, _ = pretrain(tensors, np.arange(12), params)
    names = {path.name for path in folder.iterdir()}
    assert names == {"fingerprint", "geometry", "half", "whole", "closeups"}
    (folder / "geometry").write_bytes(b"")
    (folder / "whole").write_bytes(flip((folder / "whole").read_bytes()))
    capsys.readouterr()
    with resumable(folder, "as before") as checkpoints:
        weights, _ = pretrain(tensors, np.arange(12), params, checkpoints)
    assert same(straight, weights)
    printed = capsys.readouterr().out
    assert "half the size goes on after epoch 1 of 1" in printed
    assert "whole pictures goes on" not in printed


def test_an_interrupted_training_says_how_to_continue(tmp_path):
    with (
        pytest.raises(KeyboardInterrupt, match="run it again to go on"),
        resumable(tmp_path / "kept", "mine"),
    ):
        raise KeyboardInterrupt
    assert (tmp_path / "kept").is_dir()


def changed(value):
    """Another value of the same kind."""
    if isinstance(value, list):
        return [*value[:-1], changed(value[-1])] if value else ["packet_01"]
    if isinstance(value, bool):
        return not value
    return value + "x" if isinstance(value, str) else value * 2 + 1


def leaves(values, *above):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, *above, name)
        else:
            yield (*above, name)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("stage", ["pretrain", "train"])
def test_the_fingerprint_depends_on_the_parameters_of_the_stage_and_no_others(stage, params):
    declared = loads_yaml((ROOT / "dvc.yaml").read_text())["stages"][stage]["params"]
    names = importlib.import_module(f"stages.{stage}").PARAMS
    assert list(names) == declared
    usual = params.model_dump(by_alias=True)

    def of(values):
        # Not validated: the changed values may be impossible.
        unchecked = Params.model_construct(**values)
        return fingerprint(unchecked, names, [], np.arange(3), ("cpu", "32-true"))

    first = of(usual)
    for leaf in leaves(usual):
        values = params.model_dump(by_alias=True)
        inner = values
        for name in leaf[:-1]:
            inner = inner[name]
        inner[leaf[-1]] = changed(inner[leaf[-1]] or 0)
        dotted = ".".join(leaf)
        matters = any(dotted == name or dotted.startswith(f"{name}.") for name in declared)
        assert (of(values) != first) == matters, dotted


def test_the_fingerprint_depends_on_data_rows_precision_and_threads(params, tmp_path, monkeypatch):
    folder = tmp_path / "tensors"
    (folder / "deep").mkdir(parents=True)
    (folder / "a").write_text("a")
    (folder / "deep" / "b").write_text("b")
    (tmp_path / "start").write_text("start")

    def of(rows=(0, 1), computing=("cpu", "32-true")):
        files = [folder, tmp_path / "start"]
        return fingerprint(params, ("seed",), files, np.array(rows), computing)

    seen = {of()}
    assert of() in seen
    seen |= {of(rows=(1, 0)), of(computing=("cpu", "bf16-mixed"))}
    for file in (folder / "deep" / "b", tmp_path / "start"):
        file.write_text("other")
        seen.add(of())
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    seen.add(of())
    assert len(seen) == 6
