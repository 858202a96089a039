"""SIFT and Fisher vectors (Sanchez et al., 2013): hand-made features, a row without a trunk.

Dense SIFT descriptors of patches of several sizes (sift.py), PCA, a mixture of Gaussians, and an
image's Fisher vector under it (encoding.py), reduced by PCA again and judged by the classifiers of
the probe (stage.py). docs/methods.md has what differs from the paper.
"""
