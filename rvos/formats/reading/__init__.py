"""What formats share in reading: expression files, folders of annotations, ground truth in files."""
