"""What people read: tables beside the paper's numbers, figures, a page. Reads files, no pictures.

``tabulate`` has the stages of tables and figures, ``page`` the one that tells what held. Numbers of
the paper come from ``paper``, measured ones from the files of the other stages through
``artifacts`` (the spine) and ``ablations`` (section 4.1); the two kinds never share a column
(``table``). A measured number keeps the records it was read from, down to the page's links.
"""
