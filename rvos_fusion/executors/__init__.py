"""How the tasks of a plan run: in this process, in processes beside it, or on a cluster."""
