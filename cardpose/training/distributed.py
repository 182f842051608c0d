"""Train one network in several processes, on one or more hosts.

Each process reads the whole data set and trains on its share of every batch, with Lightning's
strategy `ddp`. One step of all processes equals one step of a single process on the whole batch.
The first process writes the outputs. Hosts find each other through the environment variables
MASTER_ADDR, MASTER_PORT and NODE_RANK, as in Lightning. All hosts share the repository's folder.
Processes of a single host listen on its loopback interface only.
"""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.queues import SimpleQueue

import torch
from jaxtyping import Bool, Float
from torch import Tensor, distributed
from torch.multiprocessing import (
    ProcessContext,
    ProcessExitedException,
    ProcessRaisedException,
    get_context,
    start_processes,
)

from cardpose.common.errors import InputError
from cardpose.params import Train

_WAIT = 600.0  # longest wait for the processes of other hosts, in seconds
_LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


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
    first = host_rank(options) * options.devices
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # tracebacks of what is reported here
    messages = get_context("spawn").SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        members = start_processes(
            _member,
            (work, arguments, options, first, f"{folder}/store", messages),
            nprocs=options.devices,
            join=False,
        )
        _wait_for(members, messages, options.devices)


def meeting_store(
    options: Train, number: int, file: str, wait: int | float = _WAIT
) -> distributed.Store:
    """Return the store through which all processes exchange their addresses.

    Args:
        number: number of this process, from 0, over all hosts.
        file: path of the store, which the processes of a single host use.
        wait: longest time to wait for the processes of other hosts, in seconds.

    Raises:
        InputError: some processes did not come in time, or the port is taken.
    """
    processes = options.devices * options.hosts
    if options.hosts == 1:
        return distributed.FileStore(file, processes)
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        timeout = timedelta(seconds=wait)
        return distributed.TCPStore(address, port, processes, number == 0, timeout)
    except distributed.DistError as error:
        if "EADDRINUSE" in str(error):
            raise InputError(f"MASTER_PORT: {port} is taken; choose another") from None
        raise InputError(
            f"train.hosts: the {processes} processes of {options.hosts} hosts did not meet at"
            f" {address}:{port} within {wait:g} seconds; start all hosts, and check MASTER_ADDR"
        ) from None


def _wait_for(members: ProcessContext, messages: SimpleQueue, devices: int) -> None:
    """Wait until all processes of this host have ended; raise what one of them reported."""
    try:
        while not members.join():
            pass
    except (ProcessRaisedException, ProcessExitedException) as error:
        if not messages.empty():
            raise InputError(messages.get()) from None
        if isinstance(error, ProcessExitedException):
            raise InputError(
                f"process {error.error_index + 1} of {devices} that train together was"
                f" ended by {error.signal_name or f'status {error.exit_code}'}; run it again"
            ) from None
        raise
    finally:
        for process in members.processes:
            process.kill()
            process.join()


def _member(
    local: int,
    work: Callable[..., None],
    arguments: tuple,
    options: Train,
    first: int,
    file: str,
    messages: SimpleQueue,
) -> None:
    """Join the process group and call `work`. Send the message of an InputError to the parent.

    Args:
        local: number of this process on its host, from 0.
        first: number of the host's first process.
        file: see `meeting_store`.
    """
    # The main process handles Ctrl-C. This one ends at once, even while it waits for the others.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    processes, number = options.devices * options.hosts, first + local
    environment = {"LOCAL_RANK": local, "NODE_RANK": host_rank(options), "WORLD_SIZE": processes}
    os.environ.update({name: str(value) for name, value in environment.items()})
    if options.hosts == 1:
        for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            os.environ.setdefault(name, _LOOPBACK)
    torch.set_num_threads(max(1, torch.get_num_threads() // options.devices))
    if torch.cuda.is_available():
        torch.cuda.set_device(local)
    try:
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
            store=meeting_store(options, number, file),
            rank=number,
            world_size=processes,
        )
        work(*arguments)
    except InputError as error:
        messages.put(str(error))
        raise
    distributed.destroy_process_group()
