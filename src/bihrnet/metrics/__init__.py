"""COCO and CrowdPose AP, MPII PCKh, LSP PCKh and PCK."""
