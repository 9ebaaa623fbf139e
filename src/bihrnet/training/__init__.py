"""Losses, distillation, recipes and the training run, on Lightning."""
