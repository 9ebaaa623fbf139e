"""The `binarization` section of a recipe: smooth signs and real-valued weights in training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bihrnet.errors import BihrnetError
from bihrnet.nn import latent_parameters
from bihrnet.nn.layers.binarize import Smoothing, smooth_signs
from bihrnet.nn.layers.binary_conv import use_real_weights
from bihrnet.training.recipe import BinarizationSection


class BinarizationSchedule:
    """Applies the section to the binary layers of a network and advances it with every step.

    Smooth signs do not affect evaluation; real-valued weights do.

    Args:
        network: is changed in place.
        section: of the recipe.
        steps: optimizer steps of the whole run.

    Raises:
        BihrnetError: the section is not the default and the network has no binary layers.
    """

    def __init__(self, network: nn.Module, section: BinarizationSection, steps: int) -> None:
        if section != BinarizationSection() and not latent_parameters(network):
            raise BihrnetError("binarization: the network has no binary layers")
        self._limits = section.steepness
        self._steps = steps
        self._steepness: Tensor | None = None
        if section.activations != "sign":
            # A tensor, not a number: changing it does not cause compiled code to be compiled again.
            self._steepness = torch.tensor(self.steepness(0))
            smooth_signs(network, Smoothing(section.activations, self._steepness))
        if section.weights == "real":
            use_real_weights(network)

    def advance(self, step: int) -> None:
        """Set the steepness of an optimizer step, counted from 0."""
        if self._steepness is not None:
            self._steepness.fill_(self.steepness(step))

    def steepness(self, step: int) -> float:
        """Steepness of smooth signs: grows geometrically from the first limit to the last."""
        first, last = self._limits
        return first * (last / first) ** min(step / max(self._steps - 1, 1), 1.0)
