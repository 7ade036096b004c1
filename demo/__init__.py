"""The bundled synthetic data set, its generator and its small checkpoints."""
