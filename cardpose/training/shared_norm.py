"""Batch norm with statistics over all processes, and the Lightning strategy that uses it."""

from typing import Any

import lightning
import torch
from jaxtyping import Float
from lightning.pytorch.plugins.layer_sync import LayerSync
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, distributed, nn

from cardpose.params import Train
from cardpose.training.distributed import world_size
from cardpose.training.modules import WholePictureModule


def strategy(
    options: Train, module: lightning.LightningModule
) -> tuple[dict[str, Any], list[LayerSync]]:
    """Return arguments and plugins of a Lightning Trainer for one or more processes."""
    if world_size() == 1:
        return {"devices": 1}, []
    # Training on whole pictures gives the closer and the tracer no gradients.
    unused = isinstance(module, WholePictureModule)
    # `SharedNorm` already keeps the buffers equal in all processes.
    ddp = DDPStrategy(find_unused_parameters=unused, broadcast_buffers=False)
    arguments = {
        "devices": options.devices,
        "num_nodes": options.hosts,
        "strategy": ddp,
        "use_distributed_sampler": False,
    }
    return arguments, [SharedNorms()]


class SharedNorm(nn.BatchNorm2d):
    """Batch norm with mean and variance over all processes. torch's SyncBatchNorm needs GPUs."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        if not self.training:
            return super().forward(x)
        values, across = x.float(), (0, 2, 3)
        n = values.new_tensor([x.numel() / x.shape[1]])
        total = _Sum.apply(torch.cat([values.sum(dim=across), n]))
        mean, n = total[:-1] / total[-1], total[-1].detach()
        off = values - mean[:, None, None]
        variance = _Sum.apply(off.square().sum(dim=across)) / n
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * n / (n - 1), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * (variance + self.eps).rsqrt()
        return (off * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


class _Sum(torch.autograd.Function):
    """Sum over all processes, with a gradient."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient.contiguous())


class SharedNorms(LayerSync):
    """Turn a network's batch norms into `SharedNorm`s while it trains."""

    def apply(self, model: nn.Module) -> nn.Module:
        return _exchange(model, nn.BatchNorm2d, SharedNorm)

    def revert(self, model: nn.Module) -> nn.Module:
        return _exchange(model, SharedNorm, nn.BatchNorm2d)


def _exchange(model: nn.Module, old: type, new: type) -> nn.Module:
    for module in model.modules():
        if type(module) is old:
            module.__class__ = new
    return model
