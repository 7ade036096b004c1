"""Ground floor, free of torch: data sets, mask sequences and their store, evaluation, submission."""
