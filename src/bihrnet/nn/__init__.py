"""Networks in torch: binarisers, binary units, one file per network family, a registry."""

from bihrnet.nn import bihrnet, hrnet, mobilenet_v2, resnet  # noqa: F401  (they register networks)
from bihrnet.nn.binary import latent_parameters
from bihrnet.nn.registry import Architecture, architectures, build

__all__ = ["Architecture", "architectures", "build", "latent_parameters"]
