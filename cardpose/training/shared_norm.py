"""Batch normalization with statistics shared by all processes."""

import torch
from lightning.pytorch.plugins.layer_sync import LayerSync
from lightning.pytorch.strategies import DDPStrategy
from torch import distributed, nn

from cardpose.training.distributed import world_size
from cardpose.training.modules import WholePictureModule


def strategy(options, module):
    """Arguments of a Lightning Trainer for the parameters of `train`, and its plugins."""
    if world_size() == 1:
        return {"devices": 1}, []
    known = {"devices": options.devices, "num_nodes": options.hosts}
    unused = isinstance(module, WholePictureModule)  # what takes a closer look is taught later
    # `SharedNorm` keeps buffers the same in all processes.
    ddp = DDPStrategy(find_unused_parameters=unused, broadcast_buffers=False)
    return {**known, "strategy": ddp, "use_distributed_sampler": False}, [SharedNorms()]


class SharedNorm(nn.BatchNorm2d):
    """Batch norm by mean and variance of what all processes see. torch's own needs GPUs."""

    def forward(self, x):
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
    """The sum over all processes."""

    @staticmethod
    def forward(context, x):
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context, gradient):
        return _Sum.apply(gradient.contiguous())


class SharedNorms(LayerSync):
    """Makes a network's batch norms `SharedNorm`s while it trains."""

    def apply(self, model):
        return _exchange(model, nn.BatchNorm2d, SharedNorm)

    def revert(self, model):
        return _exchange(model, SharedNorm, nn.BatchNorm2d)


def _exchange(model, old, new):
    for module in model.modules():
        if type(module) is old:
            module.__class__ = new
    return model
