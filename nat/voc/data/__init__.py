"""VOC's format: annotations, splits, proposals; and the set composed in it."""
