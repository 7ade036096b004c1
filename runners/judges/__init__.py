"""Judges: models of language and vision that are shown the candidates of a sentence and accept or reject each."""
