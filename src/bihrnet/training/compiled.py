"""Whether a compiled training pass can be trusted."""

from __future__ import annotations

from torch import nn

from bihrnet.errors import BihrnetError


def check_gradients(network: nn.Module) -> None:
    """See that the first backward pass has reached every parameter.

    torch.compile has produced passes whose gradients were exactly 0 where eager ones were not
    (`bihrnet.nn.layers.upsample`). Training then goes on, and most of the network never learns.

    Raises:
        BihrnetError: a parameter has no gradient, or one that is 0 everywhere.
    """
    lost = [
        name
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    if lost:
        raise BihrnetError(
            f"the compiled pass gives no gradient to {len(lost)} parameters, {lost[0]} the first; "
            "train without --compile"
        )
