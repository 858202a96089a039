"""Data sets, a file each, from which the image store is filled.

A data set is a file of this folder; its name is the value of ``images.source``. It defines
``read(settings, machine)``, which finds the images and returns

- a ``Source``, if it has them as arrays of the store's size, or
- an ``EncodedSource``, if they are files to be decoded, cropped and resized,

with the splits ``train`` and ``test``, ``validation`` if ``images.validation`` asks for it (see
filling/divide.py), and ``unlabelled`` if there are more images that are for training without labels
alone. ``NEEDS_FOLDER = True`` says that ``images.folder`` must name
where they are.
"""
