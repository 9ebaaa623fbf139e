"""Networks trained by cross entropy: their outputs are logits, heatmaps are the sigmoid of these.

The loss takes logits, on which it is exact even where the sigmoid is saturated. Everything else
takes heatmaps: decoding treats values of 0 or below as an absent keypoint, the flip test averages,
and scores are heights of peaks. `Checkpoint.build` and the evaluation of a training run are the
only places that convert one into the other.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

#: Name in recipes of the loss that takes logits.
LOGIT_LOSS = "bce"
#: Heatmap value at an output of 0, which fresh networks have nearly everywhere: the prior of Lin et
#: al. 2017, "Focal Loss for Dense Object Detection" (arXiv:1708.02002), section 4.1. From 0.5,
#: training would first have to lower the whole background.
PRIOR = 0.01
_LOGIT_OF_PRIOR = math.log(PRIOR / (1 - PRIOR))


def logits(outputs: Tensor) -> Tensor:
    """Logits of a network's outputs of any shape: outputs count from the logit of the prior."""
    return outputs + _LOGIT_OF_PRIOR


def heatmaps(outputs: Tensor, loss: str) -> Tensor:
    """Heatmaps of the outputs, of any shape, of a network that was trained with `loss`."""
    return logits(outputs).sigmoid() if loss == LOGIT_LOSS else outputs


class SigmoidHeatmaps(nn.Module):
    """A network that was trained on logits, followed by their sigmoid.

    Its parameters have the prefix "network." as in the checkpoints of a training run, so that both
    kinds of state dict are read the same way.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return self.sigmoid(logits(self.network(x)))
