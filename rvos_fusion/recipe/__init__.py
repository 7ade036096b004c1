"""What a `pipeline.yaml` says: its values, its nodes as one graph."""
