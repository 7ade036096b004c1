"""The search: which members, rule, threshold and groups of stored masks, by cross-validation over videos."""
