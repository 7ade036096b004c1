"""The bundled data set: a generator of referring videos with exact ground truth."""
