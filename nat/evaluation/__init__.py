"""What is measured of a trunk without training: features, kNN, multi-crop accuracy."""
