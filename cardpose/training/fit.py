"""Fit a Lightning module, with a choice of precision, checkpoints and one-line errors."""

import logging
import signal
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import lightning
import torch
from dvclive import Live
from torch.utils.data import DataLoader

from cardpose.common.errors import InputError, print_line
from cardpose.params import Params
from cardpose.training.callbacks import LogLosses, SaveEpoch, StopOnDivergence
from cardpose.training.checkpoints import AtomicCheckpoints, read_checkpoint
from cardpose.training.distributed import rank
from cardpose.training.parts import Part
from cardpose.training.shared_norm import strategy

Precision = Literal["32-true", "bf16-mixed"]


def best_precision(accelerator: str) -> Precision:
    """Return "bf16-mixed" if the hardware multiplies bfloat16, otherwise "32-true"."""
    if accelerator == "gpu":
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if accelerator == "cpu" and has_bf16 else "32-true"


def compute_settings(params: Params) -> tuple[str, Precision]:
    """Return Lightning's names of the accelerator and the precision to train with."""
    accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    precision = params.train.precision
    return accelerator, best_precision(accelerator) if precision == "auto" else precision


def fit_module(
    part: Part,
    module: lightning.LightningModule,
    batches: DataLoader,
    params: Params,
    checkpoints: Path | None,
    validation: DataLoader | None = None,
    live: Live | None = None,
    callbacks: Iterable[lightning.Callback] = (),
) -> None:
    """Train a Lightning module. Resume from the part's checkpoint if there is one.

    Args:
        part: the part of the training.
        module: the module to train.
        batches: training batches.
        params: all parameters.
        checkpoints: folder of the checkpoints.
        validation: batches to validate on after every epoch.
        live: DVCLive's log of the losses.
        callbacks: further callbacks.

    Raises:
        InputError: the training diverged, or a loader worker was killed.
    """
    # Hide Lightning's advice on loaders and add-ons, which would clutter the progress bar.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    accelerator, precision = compute_settings(params)
    callbacks = [StopOnDivergence(part, precision), *callbacks, LogLosses(part, live)]
    path = start = None
    if checkpoints:
        path = checkpoints / part.name
        callbacks.append(SaveEpoch(path))
        start = read_checkpoint(path)
    if start and rank() == 0:
        done = start["epoch"] + 1  # Lightning counts from 0
        print_line(f"training on {part.data} goes on after epoch {done} of {part.epochs}")
    shared, plugins = strategy(params.train, module)
    trainer = lightning.Trainer(
        **shared,
        accelerator=accelerator,
        precision=precision,
        max_epochs=part.epochs,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        plugins=[AtomicCheckpoints(), *plugins],
    )
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(
            module, batches, validation, ckpt_path=path if start else None, weights_only=True
        )
    except SystemExit as ended:
        # Lightning raises SystemExit on Ctrl-C and ignores SIGINT from then on.
        signal.signal(signal.SIGINT, on_interrupt)
        if isinstance(ended.__context__, KeyboardInterrupt):
            raise ended.__context__ from None
        raise
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise InputError(
            f"training on {part.data}: a loader worker was killed; if for want of memory, fewer"
            " machine.loader_workers help"
        ) from None
