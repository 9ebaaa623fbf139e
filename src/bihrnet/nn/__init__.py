"""Networks in PyTorch: layers, models (one family per file), a registry, checkpoints.

Example:
    >>> from bihrnet.nn import build
    >>> network = build("bihrnet-w32", 17)  # 17 keypoints, fresh weights
"""

from bihrnet.nn import models  # noqa: F401  (its modules register the architectures)
from bihrnet.nn.layers.binary_conv import latent_parameters
from bihrnet.nn.registry import Architecture, architectures, build

__all__ = ["Architecture", "architectures", "build", "latent_parameters"]
