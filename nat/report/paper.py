"""The paper's own numbers, as printed in the ICML 2017 article.

Percent: accuracy on ImageNet's validation set (Tables 1 to 3 and the text of section 4.1), mean
average precision on VOC 2007's test set (Table 4). Text, not floats: "22" is printed without
decimals. None is the article's "-".
"""

from typing import NamedTuple


class Row(NamedTuple):
    """A method of a table.

    ``key`` is what its measured files are called here, ``name`` as the article prints it,
    ``numbers`` as printed, in the order of the columns, ``note`` of the article's caption.
    """

    key: str
    name: str
    numbers: tuple[str | None, ...]
    note: str = ""


# Section 3.3: supervised AlexNet, validation set
TABLE_1 = (Row("softmax", "Softmax", ("59.2",)), Row("square", "Square loss", ("58.4",)))

# Section 4.1: supervised AlexNet, acc@1
TABLE_2 = (
    Row("clean", "clean", ("59.7",)),
    Row("high-pass", "high-pass", ("58.5",)),
    Row("sobel", "sobel", ("57.4",)),
)

# Section 4.2: frozen convolutions, MLP on top, Acc@1
TABLE_3 = (
    Row("random", "Random (Noroozi & Favaro, 2016)", ("12.0",)),
    Row("sift-fv", "SIFT+FV (Sánchez et al., 2013)", ("55.6",)),
    Row("wang", "Wang & Gupta (2015)", ("29.8",)),
    Row("doersch", "Doersch et al. (2015)", ("30.4",)),
    Row("zhang", "Zhang et al. (2016)", ("35.2",)),
    Row("noroozi", "Noroozi & Favaro (2016)", ("38.1",),
        "uses a significantly larger amount of features than the original AlexNet"),
    Row("bigan", "BiGAN (Donahue et al., 2016)", ("32.2",)),
    Row("nat", "NAT", ("36.0",)),
)  # fmt: skip

# Section 4.2: classification fc6-8, classification all, detection all
TABLE_4 = (
    Row("labels", "ImageNet labels", ("78.9", "79.9", "56.8")),
    Row("agrawal", "Agrawal et al. (2015)", ("31.0", "54.2", "43.9")),
    Row("pathak", "Pathak et al. (2016)", ("34.6", "56.5", "44.5")),
    Row("wang", "Wang & Gupta (2015)", ("55.6", "63.1", "47.4")),
    Row("doersch", "Doersch et al. (2015)", ("55.1", "65.3", "51.1")),
    Row("zhang", "Zhang et al. (2016)", ("61.5", "65.6", "46.9")),
    Row("autoencoder", "Autoencoder", ("16.0", "53.8", "41.9")),
    Row("gan", "GAN", ("40.5", "56.4", None)),
    Row("bigan", "BiGAN (Donahue et al., 2016)", ("52.3", "60.1", "46.9")),
    Row("nat", "NAT", ("56.7", "65.3", "49.4")),
)

# Section 4.1, in the text, NAT's accuracy on ImageNet: its best, with P kept fixed, with the best
# k of discrete targets, and what it is always above, whatever the frequency of permutations
TEXT = {"nat": "36.0", "fixed": "26.4", "discrete": "22", "frequencies": "30"}
