"""The paper's numbers, against a second list typed from the article."""

from nat.report import paper

TABLE_3 = """
Random 12.0
SIFT+FV 55.6
Wang & Gupta 29.8
Doersch 30.4
Zhang 35.2
Noroozi 38.1
BiGAN 32.2
NAT 36.0
"""
TABLE_4 = """
ImageNet labels 78.9 79.9 56.8
Agrawal 31.0 54.2 43.9
Pathak 34.6 56.5 44.5
Wang & Gupta 55.6 63.1 47.4
Doersch 55.1 65.3 51.1
Zhang 61.5 65.6 46.9
Autoencoder 16.0 53.8 41.9
GAN 40.5 56.4 -
BiGAN 52.3 60.1 46.9
NAT 56.7 65.3 49.4
"""


def check(rows: list[paper.Row], typed: str, columns: int) -> None:
    lines = typed.strip().splitlines()
    assert len(rows) == len(lines)
    for row, line in zip(rows, lines, strict=True):
        name, *numbers = line.rsplit(" ", columns)
        assert row.name.startswith(name)
        assert row.numbers == numbers


def test_table_3() -> None:
    check(paper.TABLES["Table 3"], TABLE_3, 1)


def test_table_4() -> None:
    check(paper.TABLES["Table 4"], TABLE_4, 3)


def test_tables_1_and_2_and_the_text() -> None:
    check(paper.TABLES["Table 1"], "Softmax 59.2\nSquare loss 58.4", 1)
    check(paper.TABLES["Table 2"], "clean 59.7\nhigh-pass 58.5\nsobel 57.4", 1)
    typed = {"nat": "36.0", "fixed": "26.4", "discrete": "22", "frequencies": "30"}
    assert typed == paper.TEXT


def test_keys_are_one_method_each() -> None:
    for rows in paper.TABLES.values():
        assert len({row.key for row in rows}) == len(rows)
    names = {}
    for row in paper.TABLES["Table 3"] + paper.TABLES["Table 4"]:
        assert names.setdefault(row.key, row.name.split(" (")[0]) == row.name.split(" (")[0]
