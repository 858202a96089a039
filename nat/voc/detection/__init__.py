"""VOC 2007 detection by Fast R-CNN (Table 4): regions, training, testing, average precision."""
