"""Visual backbones."""
