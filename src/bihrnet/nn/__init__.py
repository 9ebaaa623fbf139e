"""Networks in torch: binarisers, binary units, one file per network family, a registry."""

from bihrnet.nn import (  # noqa: F401  (they register networks)
    bihrnet,
    bulat,
    dite_hrnet,
    edite_hrnet,
    hrnet,
    lbrn,
    lbrn_resnet,
    lite_hrnet,
    mobilenet_v2,
    mobilenet_v3,
    resnet,
    shufflenet_v2,
)
from bihrnet.nn.binary import latent_parameters
from bihrnet.nn.registry import Architecture, architectures, build

__all__ = ["Architecture", "architectures", "build", "latent_parameters"]
