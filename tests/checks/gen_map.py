#!/usr/bin/env python3
"""Writes lib/libamun.map from the AMUN_API declarations in include/amun/*.h.

Symbols that the map already holds keep their version node (released nodes are never edited);
new ones go into the newest node. --check only compares; --print writes to stdout.
"""
import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEAD = ("/* The exported symbols, by the release that added them. Written by\n"
        " * tests/checks/gen_map.py; tests/checks/check_symbols.py compares it with the headers and\n"
        " * the built library. */\n")


def strip_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def declared_symbols(folder):
    """Names of all functions declared with AMUN_API below `folder`."""
    names = set()
    for path in sorted(pathlib.Path(folder).glob("*.h")):
        text = strip_comments(path.read_text(encoding="utf-8"))
        text = re.sub(r"^\s*#(?:[^\n\\]|\\\n|\\.)*", "", text, flags=re.M)
        for match in re.finditer(r"\bAMUN_API\b([^;{]*)[;{]", text):
            name = re.search(r"\b(amun_\w+)\s*\(", match.group(1))
            if name:
                names.add(name.group(1))
    return names


def read_map(path):
    """[(node, [symbols], parent)] in file order."""
    text = strip_comments(path.read_text(encoding="utf-8")) if path.exists() else ""
    nodes = []
    for match in re.finditer(r"(AMUN_[\w.]+)\s*\{(.*?)\}\s*(\w[\w.]*)?\s*;", text, flags=re.S):
        names = re.findall(r"\b(amun_\w+)\s*;", match.group(2))
        nodes.append((match.group(1), names, match.group(3)))
    return nodes


def render(declared, nodes, node_name):
    known = {name for _, names, _ in nodes for name in names}
    fresh = sorted(declared - known)
    nodes = [(name, sorted(n for n in names if n in declared), parent)
             for name, names, parent in nodes]
    if not nodes or (nodes[-1][0] != node_name and fresh):
        nodes.append((node_name, [], nodes[-1][0] if nodes else None))
    last, names, parent = nodes[-1]
    nodes[-1] = (last, sorted(names + fresh), parent)
    out = [HEAD]
    for index, (name, names, parent) in enumerate(nodes):
        out.append(name + " {\n")
        if names:
            out.append("global:\n" + "".join(f"    {n};\n" for n in names))
        if index == 0:
            out.append("local:\n    *;\n")
        out.append("}" + (f" {parent}" if parent else "") + ";\n")
    return "".join(out)


def current_node(folder):
    text = (pathlib.Path(folder) / "version.h").read_text(encoding="utf-8")
    major, minor = (re.search(rf"#define AMUN_VERSION_{part} (\d+)", text).group(1)
                    for part in ("MAJOR", "MINOR"))
    return f"AMUN_{major}.{minor}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if the map is out of date")
    parser.add_argument("--print", action="store_true", dest="show")
    args = parser.parse_args()
    headers, path = ROOT / "include" / "amun", ROOT / "lib" / "libamun.map"
    text = render(declared_symbols(headers), read_map(path), current_node(headers))
    if args.show:
        sys.stdout.write(text)
    elif args.check:
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit("lib/libamun.map is out of date: run tests/checks/gen_map.py")
    else:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
