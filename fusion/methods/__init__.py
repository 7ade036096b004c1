"""Methods of fusion: one class a method, each in a file of its own and one line of the table."""
