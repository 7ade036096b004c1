"""The loop of training: steps, schedules, processes, checkpoints."""
