"""bihrnet: human pose estimation that is really binary.

``PoseEstimator`` turns images into poses, ``load`` opens one model, ``list_models`` names the
bundled ones. They are imported on first use, so that ``import bihrnet`` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bihrnet.errors import BihrnetError
    from bihrnet.estimate.estimator import PoseEstimator
    from bihrnet.zoo import list_models, load

__version__: str
__all__ = ["BihrnetError", "PoseEstimator", "__version__", "list_models", "load"]

_HOMES = {
    "BihrnetError": "bihrnet.errors",
    "PoseEstimator": "bihrnet.estimate.estimator",
    "list_models": "bihrnet.zoo",
    "load": "bihrnet.zoo",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":  # of the installed package: pyproject.toml is its only source
        return import_module("importlib.metadata").version("bihrnet")
    if name not in _HOMES:
        raise AttributeError(f"module 'bihrnet' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
