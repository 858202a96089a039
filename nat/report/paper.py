"""The paper's own numbers, as printed in the ICML 2017 article; paper.csv has them.

Percent: accuracy on ImageNet's validation set (Tables 1 to 3 and the text of section 4.1), mean
average precision on VOC 2007's test set (Table 4: classification fc6-8 and all, detection all).
Text, not floats: "22" is printed without decimals.
"""

from pathlib import Path
from typing import NamedTuple

import pandas as pd


class Row(NamedTuple):
    """A method as the article prints it; ``-`` is no number.

    ``key`` is what its measured files are called here, ``note`` is of the article's caption.
    """

    key: str
    name: str
    numbers: list[str]
    note: str = ""


def _rows(where: str) -> list[Row]:
    rows = PRINTED[PRINTED["where"] == where].drop(columns="where").itertuples(index=False)
    return [Row(key, name, numbers.split(), note) for key, name, numbers, note in rows]


PRINTED = pd.read_csv(Path(__file__).parent / "templates/paper.csv", dtype=str).fillna("")
TABLES = {title: _rows(title) for title in ("Table 1", "Table 2", "Table 3", "Table 4")}
TEXT = {row.key: row.numbers[0] for row in _rows("section 4.1")}
