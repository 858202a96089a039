"""What people read: tables beside the paper's numbers, figures, a page; all made of results/.

Measured numbers are rows of one pandas frame, of which tables are made; quoted ones stand in
paper.csv, statements of the paper in statements.csv, and all words in templates.
"""
