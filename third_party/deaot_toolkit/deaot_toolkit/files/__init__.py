"""Files looked at before anything in them is read."""
