"""What people read: tables beside the paper's numbers, figures, a page; all made of results/.

``write.write_report`` makes everything. Measured numbers are rows of one table (``frame``), quoted
ones stand in ``paper``; the two kinds never share a column (``table``). Statements of the paper
are data (``claims``), judged by one rule (``verdict``). Both pages are templates over the same
``content``. Only small files are read: no images, no networks.
"""
