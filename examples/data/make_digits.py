#!/usr/bin/env python3
"""Writes digits-images.idx and digits-labels.idx from the copy of the UCI digits that scikit-learn
ships. Usage: make_digits.py [folder]   (default: the folder of this script)

Needs numpy and scikit-learn (Debian: python3-sklearn). The result is the same bytes every time.
"""
import os
import struct
import sys

import numpy
from sklearn.datasets import load_digits


def write_idx(path, array):
    """An IDX file of bytes: magic 0x000008 and the number of dimensions, extents, data."""
    header = struct.pack(">HBB", 0, 0x08, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    with open(path, "wb") as out:
        out.write(header + array.astype(numpy.uint8).tobytes())


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    digits = load_digits()
    counts = digits.images  # float64 [1797, 8, 8]: whole numbers 0..16
    assert counts.shape == (1797, 8, 8) and counts.min() == 0 and counts.max() == 16
    assert (counts == counts.round()).all()
    # 0..16 onto 0..255, to the nearest; the one half-way value, 8 -> 127.5, goes up to 128
    write_idx(os.path.join(folder, "digits-images.idx"), numpy.floor(counts * 255 / 16 + 0.5))
    write_idx(os.path.join(folder, "digits-labels.idx"), digits.target)


if __name__ == "__main__":
    main()
