"""Networks of official size: files that stand in for the official ones, and runs of whole recipes with them."""
