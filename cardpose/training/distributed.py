"""Several processes, on one host or on several, that train one network together.

Each has all the data, and trains on its share of every batch with Lightning's strategy `ddp`, so
that one step of all is a step of one process on the whole batch. The first one writes. Hosts know
each other by MASTER_ADDR, MASTER_PORT and NODE_RANK, as Lightning has it, and share the folder.
"""

import logging
import os
import signal
import socket

import torch
from torch import distributed
from torch.multiprocessing import (
    ProcessExitedException,
    ProcessRaisedException,
    get_context,
    start_processes,
)

from cardpose.common.errors import InputError

_HOST = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")


def world_size():
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank():
    """Which of them this is; the first, 0, writes."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def host_rank(options):
    """Which of the hosts this is, from 0; `options` are the parameters of `train`."""
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


def run_processes(work, arguments, params, section):
    """Call `work(*arguments)` in as many processes as the parameters of `train` say.

    Args:
        work: a function of a module; arguments: what can be pickled.
        params: a `Params`; section: where in it the size of a batch stands, "pretrain" or "train".

    Raises:
        InputError: the batch cannot be shared, a process raised one, or one was killed.
    """
    options, batch_size = params.train, getattr(params, section).batch_size
    everybody = options.devices * options.hosts
    if everybody == 1:
        work(*arguments)
        return
    if batch_size % everybody or batch_size < 2 * everybody:
        raise InputError(
            f"{section}.batch_size: {everybody} processes need a multiple of {everybody}, of at"
            f" least {2 * everybody} (got {batch_size})"
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
    said = get_context("spawn").SimpleQueue()
    members = start_processes(
        _member,
        (work, arguments, options.devices, everybody, environment, said),
        nprocs=options.devices,
        join=False,
    )
    try:
        while not members.join():
            pass
    except (ProcessRaisedException, ProcessExitedException) as error:
        if not said.empty():
            raise InputError(said.get()) from None
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


def _free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def _member(local, work, arguments, devices, everybody, environment, said):
    # The first process answers Ctrl-C; this one just ends, also while it waits for the others.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ.update(environment, LOCAL_RANK=str(local), WORLD_SIZE=str(everybody))
    torch.set_num_threads(max(1, torch.get_num_threads() // devices))
    if torch.cuda.is_available():
        torch.cuda.set_device(local)
    try:
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
            rank=int(environment["NODE_RANK"]) * devices + local,
            world_size=everybody,
        )
        work(*arguments)
    except InputError as error:
        said.put(str(error))
        raise
    distributed.destroy_process_group()
