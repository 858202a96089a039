"""VOC 2007 classification (Table 4)."""
