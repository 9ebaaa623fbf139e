"""Networks trained by cross entropy: what comes out stands for logits, heatmaps are their sigmoid.

The loss takes logits, because it is exact on them where a sigmoid has long saturated. Everything
else takes heatmaps: decoding holds a value of 0 or below for an absent joint, the flip test
averages, scores are heights of peaks. `Checkpoint.restore` and the evaluation of a training run
are the only places that turn the one into the other.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

#: Name of the loss, in recipes, that takes logits.
LOGIT_LOSS = "bce"
#: What a network that gives 0 everywhere, as fresh ones nearly do, says of each pixel (Lin et al.
#: 2017, section 4.1). From 0.5, learning would first of all be to say no to the background.
PRIOR = 0.01
_LOGIT_OF_PRIOR = math.log(PRIOR / (1 - PRIOR))


def logits(outputs: Tensor) -> Tensor:
    """Logits of a network's outputs, any shape: counted from that of the prior."""
    return outputs + _LOGIT_OF_PRIOR


def heatmaps(outputs: Tensor, loss: str) -> Tensor:
    """Heatmaps of a network's outputs, any shape, as it was trained by `loss`."""
    return logits(outputs).sigmoid() if loss == LOGIT_LOSS else outputs


class SigmoidHeatmaps(nn.Module):
    """A network that was trained on logits, with their sigmoid behind it.

    Its parameters carry the prefix "network.", as in the files of a training run, so that either
    kind of state dict is read alike.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return self.sigmoid(logits(self.network(x)))
