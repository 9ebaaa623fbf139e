"""Training: recipes, losses, distillation, and runs that can be resumed exactly."""
