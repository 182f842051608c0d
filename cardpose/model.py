"""The network: a small UNet for the heatmaps, and beside it a head for the count.

The heatmaps reach the count's head detached from the graph: the count learns from where the
corners are, but never bends the heatmaps.
"""

import torch
from torch import nn
from torch.nn import functional as F

from cardpose.keypoints import KEYPOINTS

N = len(KEYPOINTS)
_POOL = 4  # heatmap pixels a pooled pixel


class CardPose(nn.Module):
    """UNet with a second head.

    Args:
        widths: channels at 1/2, 1/4, 1/8, ... of the picture.
        stride: picture pixels a heatmap pixel: 2, 4 or 8.
        hidden: width of the fully connected layer in the count's head.
        image_size: (width, height) of the pictures.
    """

    def __init__(self, widths, stride, hidden, image_size):
        super().__init__()
        skips = {2: 0, 4: 1, 8: 2}[stride]  # levels finer than the heatmaps
        self.stem = conv(3, widths[0], stride=2)
        self.down = nn.ModuleList(
            nn.Sequential(conv(a, b, stride=2), conv(b, b))
            for a, b in zip(widths[:-1], widths[1:], strict=True)
        )
        levels = list(widths[skips:])
        pairs = list(zip(levels[-2::-1], levels[:0:-1], strict=True))
        self.narrow = nn.ModuleList(nn.Conv2d(deep, skip, 1) for skip, deep in pairs)
        self.up = nn.ModuleList(conv(2 * skip, skip) for skip, _ in pairs)
        self.heatmaps = nn.Conv2d(levels[0], N, 1)
        width, height = image_size
        pooled = N * (width // stride // _POOL) * (height // stride // _POOL)
        self.joined = nn.Linear(widths[-1] + pooled, hidden)
        self.cards = nn.Linear(hidden, 1)
        self.visible = nn.Linear(hidden, N)
        nn.init.constant_(self.cards.bias, 0.5)
        import os
        nn.init.normal_(self.heatmaps.weight, std=float(os.environ.get('ZI','0.001'))); nn.init.zeros_(self.heatmaps.bias)
        self.H=os.environ.get('HEAD','grid'); self.stride=stride
        if self.H!='grid': self.joined = nn.Linear(widths[-1]+24+(pooled if self.H=='both' else 0), hidden)
        if os.environ.get('MID'): self.mid=nn.Linear(hidden,hidden)
        else: self.mid=None

    def forward(self, pictures):
        """
        Args:
            pictures: (n, 3, height, width) RGB, 0 to 255, uint8 or float.

        Returns:
            heatmaps (n, 8, height / stride, width / stride), cards (n,) as a share of the deck,
            and visibility (n, 8) as logits.
        """
        x = self.stem(pictures.float() / 127.5 - 1)
        features = [x]
        for level in self.down:
            features.append(level(features[-1]))
        x = features.pop()
        deepest = x.mean(dim=(2, 3))
        for narrow, level in zip(self.narrow, self.up, strict=True):
            skip = features.pop()
            x = F.interpolate(narrow(x), size=skip.shape[2:], mode="nearest")
            x = level(torch.cat([x, skip], dim=1))
        heatmaps = self.heatmaps(x)
        pooled = F.avg_pool2d(heatmaps.detach(), _POOL).flatten(1)
        if self.H!='grid':
            with torch.no_grad():
                from cardpose.heatmaps import decode
                pt,pk=decode(heatmaps.detach().float(),self.stride,1.5)
                pt=(pt-torch.tensor([160.,120.]))/160*5*(pk>.2)[...,None]
                mom=torch.cat([pt.flatten(1),pk],1)
            pooled=torch.cat([pooled,mom],1) if self.H=='both' else mom
        joined = F.relu(self.joined(torch.cat([deepest, pooled], dim=1)))
        if self.mid is not None: joined=F.relu(self.mid(joined))
        return heatmaps, self.cards(joined)[:, 0], self.visible(joined)


def conv(inputs, outputs, stride=1):
    """3 x 3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
