"""From a pretrained trunk to a VOC network: layers on top, data-dependent rescaling."""
