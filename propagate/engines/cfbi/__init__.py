"""CFBI and CFBI+ behind the engine contract."""
