"""What a small network sees in a picture, and how far two pictures are apart in its eyes.

The network reads the captioned world: at every fourth pixel it tells which colour is there, and of which shape and size
the thing is that it belongs to. Only to do so well did it learn; what is compared is what lies in it on the way there.

Distance of two pictures, as LPIPS without its learned weights (Zhang et al., 2018, https://arxiv.org/abs/1801.03924):

    d(a, b) = 1/L sum_l mean_hw || f_l(a) / |f_l(a)| - f_l(b) / |f_l(b)| ||^2

f_l are the features of layer l, divided at each position by their length over the channels. It is 0 for equal pictures
and 2 at most, as no feature is negative. The network is convolutional throughout, so it takes pictures of any size; of
pictures of other worlds it sees edges, colours and outlines.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...graph.atomic import write
from .scene import BACKGROUNDS, COLOURS, SHAPES, SIZES

PALETTE = (*BACKGROUNDS, *COLOURS)
ANSWERS = {"colour": PALETTE, "shape": ("none", *SHAPES), "size": ("none", *SIZES)}
"""What is told at each position, and the words there are; the background has no shape and no size."""

STRIDE = 4
"""Pixels between two positions that are told of."""

LAYERS = ((16, 1), (32, 2), (32, 1), (48, 2), (64, 1), (64, 1))
"""Channels and stride of each 3 x 3 convolution."""

FILE = "model.safetensors"
SHIPPED = Path(__file__).parents[2] / "workflows" / "models" / "shapes-features" / FILE


class Reader(nn.Module):
    """Convolutions, and on top of them a linear reading of each of `ANSWERS`."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (3, *(channels for channels, _ in LAYERS[:-1]))
        self.layers = nn.ModuleList(
            nn.Conv2d(before, channels, 3, stride, padding=1, padding_mode="replicate")
            for before, (channels, stride) in zip(inputs, LAYERS, strict=True)
        )
        self.heads = nn.ModuleDict({name: nn.Conv2d(LAYERS[-1][0], len(words), 1) for name, words in ANSWERS.items()})

    def features(self, pictures: Tensor) -> list[Tensor]:
        """What each layer makes of pictures (n, 3, h, w) in [0, 1]: (n, c, h / s, w / s), s its stride so far."""
        hidden, found = pictures * 2 - 1, []
        for layer in self.layers:
            hidden = functional.relu(layer(hidden))
            found.append(hidden)
        return found

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Logits (n, words, h / 4, w / 4) of each of `ANSWERS`."""
        last = self.features(pictures)[-1]
        return {name: head(last) for name, head in self.heads.items()}


def load(path: Path = SHIPPED) -> Reader:
    """The trained network in the file `path`."""
    from safetensors.torch import load_file

    reader = Reader()
    reader.load_state_dict({name: weight.float() for name, weight in load_file(path).items()})
    return reader.eval().requires_grad_(False)


def save(reader: Reader, path: Path) -> None:
    """Write the network to the file `path`, in half precision."""
    from safetensors.torch import save as to_bytes

    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, to_bytes({name: weight.detach().half() for name, weight in reader.state_dict().items()}))


@cache
def shipped() -> Reader:
    """The network that ships, read once."""
    return load()


def distance(first: Tensor, second: Tensor, reader: Reader | None = None) -> Tensor:
    """d (n,) between pictures (n, 3, h, w) in [0, 1], pair by pair."""
    reader = reader or shipped()
    with torch.no_grad():
        pairs = zip(reader.features(first), reader.features(second), strict=True)
        layers = [(_directions(a) - _directions(b)).square().sum(1).mean((1, 2)) for a, b in pairs]
    return torch.stack(layers).mean(0)


def _directions(features: Tensor) -> Tensor:
    return features / features.norm(dim=1, keepdim=True).clamp_min(1e-8)
