"""Networks trained by cross entropy: what comes out are logits, and heatmaps are their sigmoid.

The loss takes logits, because it is exact on them where a sigmoid has long saturated. Everything
else takes heatmaps: decoding holds a value of 0 or below for an absent joint, the flip test
averages, scores are heights of peaks. `Checkpoint.restore` and the evaluation of a training run
are the only places that turn the one into the other.
"""

from __future__ import annotations

from torch import Tensor, nn

#: Name of the loss, in recipes, that takes logits.
LOGIT_LOSS = "bce"


def heatmaps(outputs: Tensor, loss: str) -> Tensor:
    """Heatmaps of a network's outputs, any shape, as it was trained by `loss`."""
    return outputs.sigmoid() if loss == LOGIT_LOSS else outputs


class SigmoidHeatmaps(nn.Module):
    """A network that gives logits, with their sigmoid behind it.

    Its parameters carry the prefix "network.", as in the files of a training run, so that either
    kind of state dict is read alike.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return self.sigmoid(self.network(x))
