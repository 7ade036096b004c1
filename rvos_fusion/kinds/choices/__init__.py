"""What kinds share that choose among candidates, or refuse all."""
