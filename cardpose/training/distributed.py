"""Train one network in several processes, on one or more hosts.

Each process reads the whole data set and trains on its share of every batch, with Lightning's
strategy `ddp`. One step of all processes equals one step of a single process on the whole batch.
The first process writes the outputs. Hosts find each other through the environment variables
MASTER_ADDR, MASTER_PORT and NODE_RANK, as in Lightning. All hosts share the repository's folder.
"""

import logging
import os
import signal
import socket
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue

import torch
from jaxtyping import Bool, Float
from torch import Tensor, distributed
from torch.multiprocessing import (
    ProcessExitedException,
    ProcessRaisedException,
    get_context,
    start_processes,
)

from cardpose.common.errors import InputError
from cardpose.params import Train

_HOST = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")


def world_size() -> int:
    """Return the number of processes that train the network."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Return the number of this process, from 0. Process 0 writes the outputs."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def marked_per_process(mask: Bool[Tensor, "..."]) -> Float[Tensor, ""]:
    """Return the number of True entries of a mask, averaged over all processes.

    If each process divides its sum of losses by this number, the mean over the processes is the
    mean over all marked entries, however they are shared. All processes must call this together.

    Returns:
        a positive number, even if no process has a True entry.
    """
    total = mask.sum().float()
    if distributed.is_initialized():
        distributed.all_reduce(total)
    return total.clamp(min=1) / world_size()


def host_rank(options: Train) -> int:
    """Return the number of this host, from 0.

    Raises:
        InputError: there are several hosts, and MASTER_ADDR, MASTER_PORT or NODE_RANK is missing
            or invalid.
    """
    if options.hosts == 1:
        return 0
    try:
        number, port = int(os.environ["NODE_RANK"]), int(os.environ["MASTER_PORT"])
        if not (os.environ["MASTER_ADDR"] and 0 <= number < options.hosts and 0 < port < 65536):
            raise ValueError
    except (KeyError, ValueError):
        raise InputError(
            f"train.hosts: {options.hosts} hosts need MASTER_ADDR and MASTER_PORT of the first in"
            f" the environment, and NODE_RANK, 0 to {options.hosts - 1}"
        ) from None
    return number


def run_processes(
    work: Callable[..., None], arguments: tuple, options: Train, batch_size: int, setting: str
) -> None:
    """Call `work(*arguments)` in `train.devices` processes on each of `train.hosts` hosts.

    Args:
        work: function to call, defined at the top level of a module.
        arguments: its arguments, which must be picklable.
        options: the parameters of `train`.
        batch_size: frames per batch, summed over all processes.
        setting: name of the batch size in params.yaml.

    Raises:
        InputError: the batch cannot be shared equally, there are too few GPUs, the environment
            does not describe the hosts, a process raised an InputError, or a process was killed.
    """
    processes = options.devices * options.hosts
    if processes == 1:
        work(*arguments)
        return
    if batch_size % processes or batch_size < 2 * processes:
        raise InputError(
            f"{setting}: {processes} processes need a multiple of {processes}, of at"
            f" least {2 * processes} (got {batch_size})"
        )
    if torch.cuda.is_available() and options.devices > torch.cuda.device_count():
        raise InputError(
            f"train.devices: should be at most {torch.cuda.device_count()}, the GPUs of this host"
            f" (got {options.devices})"
        )
    environment = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "NODE_RANK": str(host_rank(options)),
    }
    if options.hosts > 1:
        environment.update({name: os.environ[name] for name in _HOST})
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)
    messages = get_context("spawn").SimpleQueue()
    members = start_processes(
        _member,
        (work, arguments, options.devices, processes, environment, messages),
        nprocs=options.devices,
        join=False,
    )
    try:
        while not members.join():
            pass
    except (ProcessRaisedException, ProcessExitedException) as error:
        if not messages.empty():
            raise InputError(messages.get()) from None
        if isinstance(error, ProcessExitedException):
            raise InputError(
                f"process {error.error_index + 1} of {options.devices} that train together was"
                f" ended by {error.signal_name or f'status {error.exit_code}'}; run it again"
            ) from None
        raise
    finally:
        for process in members.processes:
            process.kill()
            process.join()


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def _member(
    local: int,
    work: Callable[..., None],
    arguments: tuple,
    devices: int,
    processes: int,
    environment: dict[str, str],
    messages: SimpleQueue,
) -> None:
    """Join the process group and call `work`. Send the message of an InputError to the parent."""
    # The main process handles Ctrl-C. This one ends at once, even while it waits for the others.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ.update(environment, LOCAL_RANK=str(local), WORLD_SIZE=str(processes))
    torch.set_num_threads(max(1, torch.get_num_threads() // devices))
    if torch.cuda.is_available():
        torch.cuda.set_device(local)
    try:
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
            rank=int(environment["NODE_RANK"]) * devices + local,
            world_size=processes,
        )
        work(*arguments)
    except InputError as error:
        messages.put(str(error))
        raise
    distributed.destroy_process_group()
