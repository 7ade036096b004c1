"""Which sentences of a video belong together, as a recipe says, and what masks decided, for review."""
