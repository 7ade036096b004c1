"""The report: one static page with every picture and number inside it."""
