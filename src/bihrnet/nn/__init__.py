"""Networks in torch: layers, one file per network family, a registry, checkpoints."""

from bihrnet.nn.layers.binary import latent_parameters
from bihrnet.nn.models import (  # noqa: F401  (they register networks)
    bihrnet,
    binary_hourglass,
    dite_hrnet,
    edite_hrnet,
    hrnet,
    lbrn,
    lbrn_resnet,
    lite_hrnet,
    mobilenet_v2,
    mobilenet_v3,
    shufflenet_v2,
    simplebaseline,
)
from bihrnet.nn.registry import Architecture, architectures, build

__all__ = ["Architecture", "architectures", "build", "latent_parameters"]
