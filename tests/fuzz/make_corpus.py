#!/usr/bin/env python3
"""Writes the seed files of tests/fuzz/corpus: small good and bad files of each format.
The committed corpus is its output plus what fuzzing found. Usage: make_corpus.py [folder]
Files that only the library writes come from the program make_seeds; this one damages them."""
import os
import random
import re
import struct
import sys


def safetensors(header, data=b"", length=None):
    text = header.encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype, shape, begin, end):
    return '{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}' % (dtype, shape, begin, end)


def npy(header, data=b"", major=1, pad=True):
    begin = 10 if major == 1 else 12
    text = header.encode()
    if pad:
        text += b" " * (-(begin + len(text) + 1) % 64) + b"\n"
    size = struct.pack("<H" if major == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([major, 0]) + size + text + data


def idx(shape, data, kind=8):
    return struct.pack(">HBB", 0, kind, len(shape)) + struct.pack(f">{len(shape)}I", *shape) + data


def dict_text(descr, order, shape):
    return "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, order, shape)


def tune(hosts):
    return ('{"amun.tune": 1, "hosts": %s}' % hosts).encode()


FILES = {
    "json": {
        "options": b'{"eps": 0.03137, "seed": "18446744073709551615", "name": null, "on": [true]}',
        "duplicate": b'{"a": 1, "a": 2}',
        "deep": b"[[[[[[[[[1]]]]]]]]]",
        "escapes": b'["\\u00e9\\n\\"\\\\ \xc3\xa9", 1e-5, -0, 12]',
        "surrogates": b'["\\ud83d\\ude00", "\\ud800"]',
        "empty": b"",
    },
    "safetensors": {
        "empty": safetensors("{}      "),
        "two": safetensors(
            '{"__metadata__":{"amun.format":"1"},"b":%s,"a":%s}      '
            % (entry("I64", "[]", 0, 8), entry("F32", "[2,1]", 8, 16)), bytes(16)),
        "types": safetensors(
            '{"a":%s,"b":%s,"c":%s,"d":%s}'
            % (entry("BF16", "[1]", 0, 2), entry("F16", "[1]", 2, 4),
               entry("BOOL", "[1]", 4, 5), entry("U8", "[0]", 5, 5)), bytes(5)),
        "hole": safetensors('{"a":%s}' % entry("U8", "[1]", 1, 2), bytes(2)),
        "overlap": safetensors(
            '{"a":%s,"b":%s}' % (entry("U8", "[2]", 0, 2), entry("U8", "[2]", 1, 3)), bytes(3)),
        "overflow": safetensors('{"a":%s}' % entry("F32", "[4611686018427387904,4]", 0, 0)),
        "huge-header": safetensors("{}", length=1 << 63),
        "long-header": safetensors("{}", length=100),
        "duplicate": safetensors(
            '{"a":%s,"a":%s}' % (entry("U8", "[1]", 0, 1), entry("U8", "[1]", 1, 2)), bytes(2)),
    },
    "npy": {
        "images-u1": npy(dict_text("|u1", "False", "(2, 1, 2, 3)"), bytes(range(12))),
        "images-f4": npy(dict_text("<f4", "False", "(1, 1, 2, 2)"),
                         struct.pack("<4f", 0, 0.5, 0.25, 1)),
        "nan": npy(dict_text("<f4", "False", "(1, 1, 1, 1)"), struct.pack("<f", float("nan"))),
        "labels": npy(dict_text("<i8", "False", "(2,)"), bytes(16), major=2),
        "scalar": npy(dict_text("<f8", "False", "()"), bytes(8), major=3),
        "fortran": npy(dict_text("<f4", "True", "(2, 2)"), bytes(16)),
        "object": npy(dict_text("|O", "False", "(2,)"), bytes(16)),
        "unaligned": npy(dict_text("<f4", "False", "(2,)"), bytes(8), pad=False),
        "overflow": npy(dict_text("|u1", "False", "(0, 9223372036854775807, 9)")),
    },
    "idx": {
        "images": idx((2, 2, 3), bytes(range(12))),
        "channels": idx((1, 2, 1, 2), bytes(range(4))),
        "labels": idx((3,), bytes([1, 0, 2])),
        "overflow": idx((2**32 - 1,) * 4, b""),
        "floats": idx((1,), bytes(4), kind=13),
        "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    },
    "tune": {
        "entries": tune('{"h": {"forward s": {"choice": "own", "ms": {"direct": 2.5, "own": 1}}, '
                        '"by_data s": {"choice": "direct"}}, "other": {"s": {"choice": 7}}}'),
        "empty": tune("{}"),
        "later": b'{"amun.tune": 2, "hosts": {}}',
        "kind": tune('{"h": {"s": {"choice": "fft"}}}'),
        "auto": tune('{"h": {"s": {"choice": "auto"}}}'),
        "times": tune('{"h": {"s": {"choice": "own", "ms": {"own": -1}}}}'),
        "hosts": tune("[]"),
        "host": tune('{"h": 1}'),
        "schema": b'{"hosts": {}}',
        "array": b"[]",
    },
    "cifar": {
        "cifar10": (b"\x03" + bytes(3072)) * 2,
        "cifar100": b"\x01\x42" + bytes(3072),
        "label10": b"\x0a" + bytes(3072),
        "short": bytes(3072),
    },
}


def option_cases(first, count):
    """Cases for fuzz_options.c: structs by turns, sizes right and wrong, values that ranges are made
    of at random places. The same numbers each time."""
    draw, out = random.Random(first), b""
    for case in range(count):
        edits = draw.randrange(0, 4)
        wrong = draw.random() < 0.2
        size = draw.choice([0, 8, 16, 24, 4096, 4104, 8191, draw.randrange(0, 300)])
        out += bytes([(first + case) % 31, edits << 4 | wrong | draw.randrange(0, 2) << 1])
        out += struct.pack("<H", size)
        for _ in range(edits):
            out += bytes([draw.randrange(0, 30), draw.randrange(0, 64)])
            out += struct.pack("<d", draw.choice([0.5, 1e-3, -2.0, 1e12, 3e-310]))
    return out


FILES["options"] = {f"cases-{n}": option_cases(n * 20, 20) for n in range(8)}
FILES["report"] = {
    "names": b"digits\0resnet20\0original\0retrain\0amun\0options\0{\"a\": 1}\0{}\0",
    "own-key": b"d\0a\0x\0x\0x\0provenance\0{}\0[]\0",
    "quotes": b"\"\\\0\xc3\xa9\0a b\0%s%n\0\n\0k\0{\"a\": {\"b\": [null]}}\0{\"a\": 1, \"a\": 2}\0",
    "not-utf8": b"\xff\xfe\0\xc0\x80\0\xed\xa0\x80\0m\0m\0timings\0{\"s\": 1}\0{\"s\": NaN}\0",
    "empty": b"",
}


def damaged(data):
    """{name: bytes}: values and texts changed, so that hashes and lengths no longer fit or do."""
    yield "last-byte", data[:-1] + bytes([data[-1] ^ 1])
    yield "longer", data + b"\0"
    at = data.find(b'"')
    yield "header", data[:at] + b"'" + data[at + 1:]
    number = re.search(rb'"shape":\[(\d)', data)
    if number:
        yield "shape", data[:number.start(1)] + b"9" + data[number.end(1):]
    kind = data.find(b'"F32"')
    if kind >= 0:
        yield "dtype", data[:kind] + b'"I32"' + data[kind + 5:]
        yield "nan", data[:-4] + struct.pack("<f", float("nan"))
    epoch = re.search(rb'"amun.epoch":"(\d)', data)
    if epoch:
        yield "epoch", data[:epoch.start(1)] + b"9" + data[epoch.end(1):]
    for old, new in ((b"member-001", b"../../etc/"), (b'"members"', b'"remembrs'), (b'"1"', b'"2"'),
                     (b'"file"', b'"fail"'), (b"conv.weight", b"conv.height")):
        if old in data:
            yield "text-" + re.sub(r"[^a-z0-9]", "", old.decode()), data.replace(old, new, 1)


SEEDS = ("checkpoint/started", "checkpoint/finished", "ensemble/index", "references/cache",
         "references/weights", "weights/own")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "corpus")
    for target, files in FILES.items():
        folder = os.path.join(root, target)
        os.makedirs(folder, exist_ok=True)
        for name, data in files.items():
            with open(os.path.join(folder, name), "wb") as out:
                out.write(data)
    for seed in SEEDS:
        path = os.path.join(root, seed)
        if os.path.exists(path):
            with open(path, "rb") as file:
                data = file.read()
            for name, other in damaged(data):
                with open(path + "-" + name, "wb") as out:
                    out.write(other)


if __name__ == "__main__":
    main()
