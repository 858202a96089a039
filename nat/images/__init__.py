"""Where pictures come from: readers, the image store they fill, and augmentation on the device."""
