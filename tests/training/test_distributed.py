"""Several processes train as one process on the whole batch."""

import contextlib
import os
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support import SMALLEST
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cardpose.common.errors import InputError
from cardpose.network.model import CardPose, network_shape
from cardpose.training.batches import EpochOrder, closeup_loader, frame_loader, strip_loader
from cardpose.training.distributed import (
    host_rank,
    meeting_store,
    rank,
    run_processes,
    world_size,
)
from cardpose.training.modules import CloserModule, TracerModule, WholePictureModule
from cardpose.training.parts import train_parts
from cardpose.training.shared_norm import SharedNorms
from cardpose.training.targets import edge_targets

SETTING = "train.batch_size"


def shared(params, **values):
    """Options of `train` with these values, and the size of its batches."""
    options = params.train.model_copy(update=values)
    return options, options.batch_size


@pytest.mark.parametrize(("count", "last"), [(2, 0), (4, 2)])
def test_the_nth_batches_of_all_processes_make_up_the_nth_of_one(count, last):
    rows, size = np.arange(30), 8
    alone = EpochOrder(rows, True, 3)
    shares = [EpochOrder(rows, True, 3, last, rank, count) for rank in range(count)]
    for order in (alone, *shares):
        order.set_epoch(2)
    assert len({len(share) for share in shares}) == 1
    keys, each = list(alone)[: 30 - last], size // count
    for n in range(4):
        union = [key for share in shares for key in list(share)[n * each : (n + 1) * each]]
        assert sorted(union) == sorted(keys[n * size : (n + 1) * size])


def normalize(x):
    """A new batch norm with random weights, and a copy of x that has gradients."""
    norm = nn.BatchNorm2d(3)
    nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(1))
    x = x.clone().requires_grad_()
    return norm, x


def share(x, folder):
    norm, mine = normalize(x[rank() :: 2])
    SharedNorms().apply(norm)
    y = norm(mine)
    y.pow(3).sum().backward()
    SharedNorms().revert(norm)
    assert type(norm) is nn.BatchNorm2d
    torch.save([y, mine.grad, norm.running_mean, norm.running_var], f"{folder}/{rank()}")


def test_batch_norm_uses_the_statistics_of_all_processes(params, tmp_path):
    x = torch.randn(6, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 3 + 2
    run_processes(share, (x, str(tmp_path)), *shared(params, devices=2), SETTING)
    norm, whole = normalize(x)
    y = norm(whole)
    y.pow(3).sum().backward()
    for process in (0, 1):
        got = torch.load(tmp_path / str(process))
        want = [y[process::2], whole.grad[process::2], norm.running_mean, norm.running_var]
        for one, other in zip(got, want, strict=True):
            assert torch.allclose(one, other, atol=1e-4)


def whole_pictures(network, params, tensors, rows):
    part, *_ = train_parts(params.train)
    module = WholePictureModule(network, part, params.loss, tensors.deck)
    return module, frame_loader(tensors, rows, len(rows)), "mask"


def closeups(network, params, tensors, rows):
    _, part, _ = train_parts(params.train)
    batches = closeup_loader(tensors, tensors.points.astype(float), rows, len(rows), 0, 0)
    return CloserModule(network, part, tensors.deck), batches, "visible"


def strips(network, params, tensors, rows):
    *_, part = train_parts(params.train)
    edges, _ = edge_targets(
        network.fitter, tensors, rows, network.deck_height, tensors.points, tensors.visible
    )
    edges.kinds[~tensors.visible.any(axis=1)] = False
    batches = strip_loader(tensors, edges, rows, len(rows), 0, 0)
    return TracerModule(network, part), batches, "counts"


def save_gradients(part, params, tensors, folder):
    """Save the gradients of one step on all frames, and how many labels this process has."""
    torch.manual_seed(0)
    network = CardPose(**network_shape(SMALLEST)).train()
    nn.init.normal_(network.closer.move.weight)  # otherwise the places hardly reach the features
    module, batches, labels = part(network, params, tensors, np.arange(12))
    module.log = module.log_dict = lambda *args, **kwargs: None  # there is no trainer
    module.forward = module.training_step
    step = module
    if world_size() > 1:
        SharedNorms().apply(module)
        step = DistributedDataParallel(module, find_unused_parameters=part is whole_pictures)
    [batch] = batches
    step(batch).backward()
    gradients = {n: p.grad for n, p in module.named_parameters() if p.grad is not None}
    torch.save([gradients, batch[labels].sum().item()], f"{folder}/{rank()}")


@pytest.mark.parametrize("part", [whole_pictures, closeups, strips])
def test_processes_with_unlike_numbers_of_labels_have_the_gradients_of_one(part, small, tmp_path):
    params, tensors = small
    # Two processes cannot share the labels of five frames equally.
    tensors.mask[:] = tensors.visible[:] = np.arange(12)[:, None] < 5
    save_gradients(part, params, tensors, tmp_path)
    want, number = torch.load(tmp_path / "0")
    arguments = part, params, tensors, tmp_path
    run_processes(save_gradients, arguments, *shared(params, devices=2), SETTING)
    (got, first), (same, second) = (torch.load(tmp_path / name) for name in ("0", "1"))
    assert first + second == number
    assert first != second
    assert got.keys() == same.keys() == want.keys()
    for name, gradient in want.items():
        # Another order of sums turns single ReLUs on or off, which costs 1 % in the closer.
        # Dividing by a process's own number of labels costs 20 % or more in some weights.
        assert (got[name] - gradient).norm() <= 0.05 * gradient.norm(), name


def fail():
    if rank() == 1:
        raise InputError("the second one's")
    torch.distributed.barrier()  # in vain


def test_an_error_of_one_process_ends_all_and_is_one_line(params, complains):
    with complains("the second one's"):
        run_processes(fail, (), *shared(params, devices=2), SETTING)


def test_a_single_process_calls_the_function_itself(params):
    seen = []
    run_processes(seen.append, (rank(),), *shared(params), SETTING)
    assert seen == [0]


@pytest.mark.parametrize(
    ("devices", "size", "words"), [(3, 16, "a multiple of 3"), (2, 2, "at least 4 (got 2)")]
)
def test_a_batch_that_cannot_be_shared_is_an_error(params, complains, devices, size, words):
    with complains("train.batch_size", words):
        run_processes(fail, (), *shared(params, devices=devices, batch_size=size), SETTING)


def test_the_error_names_the_parameter_of_the_batch_size(params, complains):
    options = params.train.model_copy(update={"devices": 5})
    with complains("pretrain.batch_size", "a multiple of 5", "(got 16)"):
        run_processes(fail, (), options, 16, "pretrain.batch_size")


def test_several_hosts_need_an_address_a_port_and_a_number(params, complains, monkeypatch):
    two, _ = shared(params, hosts=2)
    for name, value in (("MASTER_ADDR", "10.0.0.1"), ("MASTER_PORT", "29500"), ("NODE_RANK", "2")):
        with complains("train.hosts", "MASTER_ADDR", "NODE_RANK, 0 to 1"):
            host_rank(two)
        monkeypatch.setenv(name, value)
    with complains("train.hosts", "NODE_RANK, 0 to 1"):
        host_rank(two)
    monkeypatch.setenv("NODE_RANK", "1")
    assert host_rank(two) == 1
    assert host_rank(params.train) == 0


def addresses(folder):
    """Save the local addresses of this process's listening TCP sockets, as hexadecimal numbers."""
    torch.distributed.barrier()
    own = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the descriptor that lists the folder
            own.add(os.readlink(f"/proc/self/fd/{name}"))
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    listening = [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in own]
    Path(folder, str(rank())).write_text(" ".join(listening))
    torch.distributed.barrier()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processes_of_one_host_listen_on_the_loopback_interface_only(params, tmp_path):
    run_processes(addresses, (str(tmp_path),), *shared(params, devices=2), SETTING)
    for process in "01":
        listening = (tmp_path / process).read_text().split()
        assert listening
        assert all(address.startswith("0100007F:") for address in listening)


@pytest.mark.parametrize("number", [0, 1])
def test_hosts_that_do_not_come_are_an_error_with_the_address(
    params, complains, monkeypatch, number
):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(port))
    options, _ = shared(params, hosts=2)
    with complains("train.hosts", f"did not meet at 127.0.0.1:{port} within 1 seconds"):
        meeting_store(options, number, "", wait=1)


def test_a_port_that_is_taken_is_an_error(params, complains, monkeypatch):
    options, _ = shared(params, hosts=2)
    with socket.create_server(("", 0)) as taken:
        monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
        monkeypatch.setenv("MASTER_PORT", str(taken.getsockname()[1]))
        with complains("MASTER_PORT", "is taken"):
            meeting_store(options, 0, "", wait=1)
