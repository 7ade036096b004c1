"""The kinds of node, one file each: settings, inputs, files, what of a video they read, and the computation."""
