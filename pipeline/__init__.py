"""Top floor: recipe, validated configuration, graph, execution, command line and report."""
