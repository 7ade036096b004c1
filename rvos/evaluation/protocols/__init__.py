"""The protocols of data sets that differ from J and F of every sentence."""
