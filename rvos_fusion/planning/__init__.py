"""What a recipe asks for on its data: tasks, fingerprints, workspace, stored results."""
