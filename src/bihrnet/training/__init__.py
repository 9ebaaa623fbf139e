"""Training: losses, distillation, recipes, and runs that survive being killed."""
