"""Rules for key frames: one class a rule, each in a file of its own and one line of the table."""
