"""What the optimizer knows of a run: whether every weight learned, how freely binary ones did.

    python scripts/check_training.py runs/RUN/last.ckpt [...]

For runs of Adam and AdamW, from the second moments they keep; others are refused:

- parameters whose gradient was 0 in every step: nothing has reached them;
- latent weights' share of Adam's full step, in the median: with gradients of size g it is
  g / (g + epsilon), so gradients as small as epsilon (1e-8) hold binary weights back.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from bihrnet.errors import BihrnetError

EPSILON = 1e-8
DECAY = 0.999  # of the second moment; Adam's default, which recipes do not change


def report(path: Path) -> str:
    """One line about a checkpoint.

    Raises:
        BihrnetError: it keeps no second moments.
    """
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if "optimizer_states" not in content:
        raise BihrnetError(f"{path}: keeps no optimizer; a run's last.ckpt does")
    (optimizer,) = content["optimizer_states"]
    if any("exp_avg_sq" not in state for state in optimizer["state"].values()):
        raise BihrnetError(f"{path}: keeps no moments of Adam; its run has another optimizer")
    moments = {
        number: state["exp_avg_sq"] / (1 - DECAY ** float(state["step"]))
        for number, state in optimizer["state"].items()
    }
    reached = {number: bool(moment.any()) for number, moment in moments.items()}
    unreached = [moment.numel() for number, moment in moments.items() if not reached[number]]
    total = sum(moment.numel() for moment in moments.values())
    line = (
        f"{path.parent.name}: never reached: {len(unreached)} of {len(moments)} parameters, "
        f"{100 * sum(unreached) / total:.1f} % of all weights"
    )
    # `build_optimizer` puts latent weights first, where a network has any.
    numbers = optimizer["param_groups"][0]["params"]
    sizes = torch.cat([moments[n].flatten() for n in numbers if reached[n]]).sqrt()
    share = (sizes / (sizes + EPSILON)).median().item()
    return f"{line}; first group's share of Adam's step: {100 * share:.0f} %"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="+", type=Path, metavar="last.ckpt")
    paths = parser.parse_args().checkpoints
    try:
        for path in paths:
            print(report(path))
    except BihrnetError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
