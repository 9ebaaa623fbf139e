"""Compact state dicts: half precision, and one bit per binary weight.

A binary convolution's ``weight`` becomes ``weight.bits``, uint8 (out, ceil(n / 8)) where a set bit
means negative and n = in * h * w, and ``weight.scale``, float32 (out, 1, 1, 1), with
``weight.shape``, int64 (4,). These are the signs and scaling factors, which is all that the forward
pass takes from latent weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from bihrnet.nn.layers.binarize import weight_scale
from bihrnet.nn.layers.binary_conv import BinaryConv2d
from bihrnet.nn.layers.dynamic_conv import AggregatedConv2d

_BITS, _SCALE, _SHAPE = ".bits", ".scale", ".shape"


def pack(module: nn.Module) -> dict[str, Tensor]:
    """State dict of `module` with binary weights as bits and other weight matrices as float16.

    Biases, normalization and activations stay float32: they are small, and running variances may be
    below the range of float16.
    """
    state = {name: tensor.detach().cpu() for name, tensor in module.state_dict().items()}
    for path, layer in module.named_modules():
        name = f"{path}.weight" if path else "weight"
        if isinstance(layer, BinaryConv2d):
            weight = state.pop(name)
            negative = (weight < 0).flatten(1).numpy()
            state[name + _BITS] = torch.from_numpy(np.packbits(negative, axis=1))
            state[name + _SCALE] = weight_scale(weight)
            state[name + _SHAPE] = torch.tensor(weight.shape)
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | AggregatedConv2d):
            state[name] = state[name].half()
    return state


def unpack(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The float32 state dict of a packed or an ordinary one in any precision.

    The latent weights of a binary convolution become sign * scaling factor. Their mean magnitude is
    the scaling factor again, up to the rounding of the mean in float32.

    Raises:
        ValueError, KeyError: the entries of a binary weight do not belong together.
        TypeError: an entry is not a tensor.
    """
    weights = {}
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} is not a tensor")
        if name.endswith(_BITS):
            weight = name.removesuffix(_BITS)
            weights[weight] = _unpacked(tensor, state[weight + _SCALE], state[weight + _SHAPE])
        elif not name.endswith((_SCALE, _SHAPE)):
            weights[name] = tensor.float() if tensor.is_floating_point() else tensor
    return weights


def _unpacked(bits: Tensor, scale: Tensor, shape: Tensor) -> Tensor:
    size = shape.tolist()
    count = int(np.prod(size[1:]))
    packed = (size[0], -(-count // 8)) if len(size) == 4 else ()
    if bits.shape != packed or bits.dtype != torch.uint8:
        found = tuple(bits.shape)
        raise ValueError(f"bits of shape {found} are not those of a binary weight of shape {size}")
    negative = torch.from_numpy(np.unpackbits(bits.numpy(), axis=1, count=count))
    return (1 - 2 * negative.reshape(size).float()) * scale
