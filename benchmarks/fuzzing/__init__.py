"""Inputs that nobody wrote on purpose, given to the commands that read them: what is made, tried and counted."""
