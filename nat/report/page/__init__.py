"""One page that tells what was measured, in two renderings: reports/README.md and index.html.

``content`` says it as a list of blocks, ``markdown`` and ``html`` render them, ``stage`` writes.
"""
