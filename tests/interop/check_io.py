"""Files exchanged with NumPy, and with the safetensors package where it is installed.

Usage: check_io.py IO_DUMP FOLDER. Prints TAP. Without NumPy everything is skipped."""
import json
import os
import struct
import subprocess
import sys

try:
    import numpy as np
except ImportError:
    print("1..0 # SKIP NumPy is not installed")
    sys.exit(0)
try:
    import safetensors.numpy
except ImportError:
    safetensors = None

DUMP, FOLDER = sys.argv[1], os.path.join(sys.argv[2], "check_io")
NUMBERS = {"float32": 1, "float64": 2, "float16": 3, "uint8": 5, "int32": 6, "int64": 7, "bool": 8}
ST_NAMES = {"float32": "F32", "float64": "F64", "float16": "F16", "uint8": "U8", "int32": "I32",
            "int64": "I64", "bool": "BOOL"}
# the reference writer's order of types, largest first
ORDER = ["int64", "float64", "float32", "int32", "float16", "uint8", "bool"]
results = []


def check(good, what):
    results.append(bool(good))
    print("%s %d - %s" % ("ok" if good else "not ok", len(results), what))


def dump(*args):
    run = subprocess.run([DUMP, *args], capture_output=True, text=True)
    return run.returncode, run.stdout


def described(array):
    shape = ",".join(str(extent) for extent in array.shape)
    return "%d [%s] %s" % (NUMBERS[array.dtype.name], shape, array.tobytes().hex())


def sample(dtype, shape, seed=0):
    rng = np.random.RandomState(seed)
    if dtype == "bool":
        return rng.randint(0, 2, shape).astype(bool)
    if dtype.startswith("float"):
        return rng.standard_normal(shape).astype(dtype)
    return rng.randint(0, 120, shape).astype(dtype)


def check_npy():
    path, copy = os.path.join(FOLDER, "a.npy"), os.path.join(FOLDER, "b.npy")
    for dtype in ORDER:
        for shape in [(), (1,), (5,), (2, 3), (0, 4), (2, 1, 3, 2), (1,) * 8]:
            for version in [(1, 0), (2, 0), (3, 0)]:
                array = np.asarray(sample(dtype, shape))
                with open(path, "wb") as out:
                    np.lib.format.write_array(out, array, version=version)
                status, text = dump("npy", path)
                good = status == 0 and text.strip() == described(array).strip()
                status, _ = dump("copy-npy", path, copy)
                back = np.load(copy)
                good = good and status == 0 and back.dtype == array.dtype
                good = good and back.shape == array.shape and back.tobytes() == array.tobytes()
                if not good or version == (3, 0):
                    check(good, "npy %s %s" % (dtype, shape))
    for what, array in [("Fortran order", np.asfortranarray(np.ones((2, 3)))),
                        ("big endian", np.ones(3, ">f4")),
                        ("objects", np.array([None, {}], dtype=object)),
                        ("complex", np.ones(2, complex)), ("text", np.array(["a", "bc"])),
                        ("structured", np.zeros(2, [("a", "<f4"), ("b", "<i8")]))]:
        np.save(path, array)
        status, text = dump("npy", path)
        check(status == 1 and text.startswith("AMUN_ERROR_UNSUPPORTED: "), "npy " + what)


def st_bytes(tensors, metadata=None):
    """The reference writer's rules, written down independently."""
    names = sorted(tensors, key=lambda name: (ORDER.index(tensors[name].dtype.name), name.encode()))
    header, body = {}, b""
    if metadata:
        header["__metadata__"] = dict(sorted(metadata.items()))
    for name in names:
        data = tensors[name].tobytes()
        header[name] = {"dtype": ST_NAMES[tensors[name].dtype.name],
                        "shape": list(tensors[name].shape),
                        "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body, names


def check_safetensors():
    path, copy = os.path.join(FOLDER, "a.safetensors"), os.path.join(FOLDER, "b.safetensors")
    shapes = [(), (3,), (2, 3), (0,), (4, 3, 3, 3)]
    tensors = {"layer%d.%s.\u00e9\"" % (i, dtype): np.asarray(sample(dtype, shape, i))
               for i, shape in enumerate(shapes) for dtype in reversed(ORDER)}
    for what, chosen, metadata in [("many", tensors, {"b": "two", "a": "one \u2713"}),
                                   ("no metadata", tensors, None), ("none", {}, None),
                                   ("one", {"w": np.ones((2, 2), "float32")}, {"format": "pt"})]:
        expected, names = st_bytes(chosen, metadata)
        with open(path, "wb") as out:
            out.write(expected)
        status, text = dump("st", path)
        lines = text.splitlines()
        good = status == 0 and len(lines) == len(chosen) + 1
        read = {}
        for line in lines[:-1]:
            name, at = json.JSONDecoder().raw_decode(line)
            read[name] = line[at + 1:]
        good = good and read == {name: described(chosen[name]) for name in chosen}
        good = good and json.loads(lines[-1]) == metadata
        check(good, "safetensors read: " + what)
        status, _ = dump("copy-st", path, copy)
        with open(copy, "rb") as file:
            check(status == 0 and file.read() == expected, "safetensors written: " + what)
        if safetensors is None:
            continue
        back = safetensors.numpy.load_file(copy)
        good = set(back) == set(chosen)
        good = good and all(back[n].dtype == chosen[n].dtype and back[n].shape == chosen[n].shape
                            and back[n].tobytes() == chosen[n].tobytes() for n in chosen)
        check(good, "safetensors package reads: " + what)
        if metadata is None or len(metadata) == 1:  # it does not sort metadata
            safetensors.numpy.save_file(chosen, path, metadata)
            with open(path, "rb") as file:
                check(file.read() == expected, "safetensors package writes the same: " + what)


def main():
    os.makedirs(FOLDER, exist_ok=True)
    check_npy()
    check_safetensors()
    print("1..%d" % len(results))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
