"""What people read: tables beside the paper's numbers, figures, one page. Reads files, no pictures.

``tabulate`` is the stage. Numbers of the paper come from ``paper``, measured ones from the files
of the other stages through ``artifacts``; the two kinds never share a column (``table``).
"""
