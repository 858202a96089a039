"""Transfer to Pascal VOC 2007: data in its format, removal of batch norm, classification."""
