#!/usr/bin/env python3
"""Relative links in Markdown files: the file is there, and so is the heading after '#'. Every page
in docs/ can be reached from README.md, so that none is forgotten."""
import os
import re
import urllib.parse

from common import read, run

SKIPPED = re.compile(r"(?:^|/)(?:\.|build|__pycache__)")


def markdown_files(root):
    for folder, folders, names in os.walk(root):
        relative = os.path.relpath(folder, root).replace(os.sep, "/")
        folders[:] = sorted(f for f in folders if not SKIPPED.search(f)
                            and not (relative == "subprojects"))
        for name in sorted(names):
            if name.endswith(".md"):
                yield (name if relative == "." else relative + "/" + name)


def prose(text):
    """Without fenced blocks, comments and code spans: what looks like a link there is none."""
    text = re.sub(r"^(```|~~~).*?^\1\s*$", "", text, flags=re.M | re.S)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", text, flags=re.S)


def anchors(text):
    """The names that GitHub gives to headings."""
    text = re.sub(r"^(```|~~~).*?^\1\s*$", "", text, flags=re.M | re.S)
    seen = {}
    for heading in re.findall(r"^#{1,6} +(.*?)(?: +#+)?\s*$", text, re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")
        count = seen[name] = seen.get(name, -1) + 1
        yield name if count == 0 else f"{name}-{count}"


def targets(text):
    """Targets of inline and reference links and of images."""
    body = prose(text)
    yield from (m.group(1) for m in re.finditer(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)", body))
    yield from (m.group(1) for m in re.finditer(r"^ {0,3}\[[^\]]+\]:\s+<?(\S+?)>?(?:\s|$)", body, re.M))


def check(root):
    problems, linked = [], {}
    texts = {name: read(root / name) for name in markdown_files(root)}
    for name, text in texts.items():
        linked[name] = set()
        for target in targets(text):
            if re.match(r"[a-z][a-z0-9+.-]*:", target, re.I):
                continue  # elsewhere; the network is not asked
            path, _, anchor = urllib.parse.unquote(target).partition("#")
            if path.startswith("/"):
                problems.append(f"{name}: {target}: not a relative link")
                continue
            place = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
            place = place.replace(os.sep, "/")
            if place.startswith("../") or not (root / place).exists():
                problems.append(f"{name}: {target}: no such file")
                continue
            linked[name].add(place)
            if anchor and place in texts and anchor not in anchors(texts[place]):
                problems.append(f"{name}: {target}: no such heading")
    reached, waiting = set(), ["README.md"]
    while waiting:
        name = waiting.pop()
        if name in texts and name not in reached:
            reached.add(name)
            waiting += sorted(linked[name])
    problems += [f"{name}: no link leads here from README.md" for name in texts
                 if name.startswith("docs/") and name not in reached]
    return problems


CLEAN = {
    "README.md": "# Top\n\nSee [a](docs/a.md), [b](docs/b.md#two-words-1), ![i](docs/i.svg), [x]: y\n"
                 "[web](https://example.org/none) `[no](none.md)`\n```\n[no](none.md)\n```\n"
                 "<!-- [no](none.md) -->\n[here](#top)\n",
    "docs/a.md": "# A\n[up](../README.md)\n[r][r]\n\n[r]: b.md\n",
    "docs/b.md": "# Two words\n## Two `words`\n",
    "docs/i.svg": "<svg/>\n",
    "build-x/c.md": "[no](none.md)\n",
}
SEEDS = [
    ("no file", {"docs/a.md": "[x](none.md)\n"}, "docs/a.md: none.md: no such file"),
    ("wrong folder", {"docs/a.md": "[x](docs/b.md)\n"}, "docs/b.md: no such file"),
    ("outside", {"docs/a.md": "[x](../../etc)\n"}, "no such file"),
    ("absolute", {"docs/a.md": "[x](/docs/b.md)\n"}, "not a relative link"),
    ("no heading", {"docs/a.md": "[x](b.md#three)\n"}, "b.md#three: no such heading"),
    ("no own heading", {"docs/a.md": "[x](#three)\n"}, "#three: no such heading"),
    ("reference", {"docs/a.md": "[r][r]\n\n[r]: c.md\n"}, "c.md: no such file"),
    ("with a title", {"docs/a.md": "[x](c.md \"see\")\n"}, "c.md: no such file"),
    ("image", {"docs/a.md": "![x](c.png)\n"}, "c.png: no such file"),
    ("forgotten page", {"docs/z.md": "# Z\n"}, "docs/z.md: no link leads here"),
]

if __name__ == "__main__":
    run(__doc__, check, CLEAN, SEEDS)
