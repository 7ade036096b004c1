"""How synthetic videos look."""
