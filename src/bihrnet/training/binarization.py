"""A recipe's `binarization` section at work: how far a network is binary while it is trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bihrnet.errors import BihrnetError
from bihrnet.nn import latent_parameters
from bihrnet.nn.layers.binarize import Smoothing, smooth_signs
from bihrnet.nn.layers.binary_conv import use_real_weights
from bihrnet.training.recipe import BinarizationSection


class BinarizationSchedule:
    """Makes the binary layers of a network what the section says, and goes on with it by steps.

    Evaluation is not touched by smooth signs, but it is by real-valued weights.

    Args:
        network: is changed in place.
        section: of the recipe.
        steps: optimizer steps of the whole run.

    Raises:
        BihrnetError: the section asks for something, and the network has no binary layers.
    """

    def __init__(self, network: nn.Module, section: BinarizationSection, steps: int) -> None:
        if section != BinarizationSection() and not latent_parameters(network):
            raise BihrnetError("binarization: the network has no binary layers")
        self._limits = section.steepness
        self._steps = steps
        self._steepness: Tensor | None = None
        if section.activations != "sign":
            # A tensor, not a number: compiled code takes its changes without being compiled anew.
            self._steepness = torch.tensor(self.steepness(0))
            smooth_signs(network, Smoothing(section.activations, self._steepness))
        if section.weights == "real":
            use_real_weights(network)

    def advance(self, step: int) -> None:
        """Set what holds in an optimizer step, counted from 0."""
        if self._steepness is not None:
            self._steepness.fill_(self.steepness(step))

    def steepness(self, step: int) -> float:
        """Of smooth signs: geometric growth, the first limit in the first step, then the last."""
        first, last = self._limits
        return first * (last / first) ** min(step / max(self._steps - 1, 1), 1.0)
