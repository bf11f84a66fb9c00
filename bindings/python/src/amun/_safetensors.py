"""Tensors in a safetensors file, as the exchange of whole models needs them: little endian, dense,
float32 or int64. The library itself checks what it reads; nothing here does."""
from __future__ import annotations

import json
from typing import Any, Dict, Mapping

import numpy as np

_NAMES: Dict[str, Any] = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}


def read(path: str) -> Dict[str, np.ndarray]:
    """{name: array} of a file that the library wrote."""
    with open(path, "rb") as file:
        header: Dict[str, Any] = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    header.pop("__metadata__", None)
    out: Dict[str, np.ndarray] = {}
    for name, entry in header.items():
        first, end = entry["data_offsets"]
        array = np.frombuffer(data[first:end], _NAMES[entry["dtype"]])
        out[name] = array.reshape(entry["shape"]).astype(array.dtype.newbyteorder("="))
    return out


def write(path: str, tensors: Mapping[str, np.ndarray]) -> None:
    """The arrays as a file: integers as int64, all else as float32. The larger type comes first, so
    that everything is aligned."""
    header: Dict[str, Any] = {}
    parts, at = [], 0
    arrays = {name: np.ascontiguousarray(array, "<i8" if array.dtype.kind in "iu" else "<f4")
              for name, array in tensors.items()}
    for name, array in sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0])):
        # ascontiguousarray makes vectors of scalars
        header[name] = {"dtype": "I64" if array.itemsize == 8 else "F32",
                        "shape": list(tensors[name].shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
        parts.append(array)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for array in parts:
            file.write(array.tobytes())
