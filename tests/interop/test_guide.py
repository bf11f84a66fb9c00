#!/usr/bin/env python3
"""What the guide says one can type: `shell` runs each block of commands of a page and compares what comes
out with what the page shows, numbers apart; `python` runs the Python blocks of a page, one after
the other; `c` compiles the C blocks of all pages.

Usage: test_guide.py shell|python PAGE --build FOLDER, test_guide.py c --cc COMPILER"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap

SOURCE = pathlib.Path(__file__).resolve().parents[2]
# Building is what came before this test; the others need a place to install to.
NOT_RUN = re.compile(r"meson setup build|DESTDIR=")
# What the C blocks take for granted.
PREAMBLE = """#include <amun/amun.h>
#include <stdio.h>
#include <stdlib.h>
extern amun_context *ctx;
extern amun_model *model;
extern amun_dataset *train, *train_data, *data;
extern amun_attack *attack;
extern amun_advset *set;
extern amun_report *report;
extern const int64_t *forget;
extern size_t count;
extern void *memory, *classes;
extern void release(void *user_data);
int32_t show(const amun_progress *p, void *user_data);
"""


def blocks(text):
    """(language, content) of each fenced block, in order; those in lists are indented."""
    return [(m.group(2), textwrap.dedent(m.group(3)))
            for m in re.finditer(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.M | re.S)]


def shape(text):
    """Lines without what differs from run to run: numbers, blanks, the beginnings of progress lines."""
    lines = [line for line in text.replace("\r", "\n").splitlines() if not line.endswith("...")]
    return [re.sub(r" *#", " #", re.sub(r"-?\d+(?:\.\d+)?|\bnan\b", "#", re.sub(r" +", " ", line))).strip() for line in lines]


def shell(page, options):
    """Problems of a page's commands. A block without a language is what the one before it says."""
    problems, said, ran = [], None, 0
    with tempfile.TemporaryDirectory() as folder:
        for name, target in [("build", options.build), ("examples", SOURCE / "examples"),
                             ("bindings", SOURCE / "bindings")]:
            pathlib.Path(folder, name).symlink_to(target)
        for language, content in blocks(page):
            if language == "sh" and not NOT_RUN.match(content):
                quick = re.sub(r"--references \d+", "--references 2", content)  # they take nearly all the time
                done = subprocess.run(["bash", "-euc", quick], cwd=folder, text=True, check=False,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                said, ran = done.stdout, ran + 1
                print(content + said, flush=True)
                if done.returncode != 0:
                    return problems + [f"{content}: ended with {done.returncode}"], ran
            elif language == "" and said is not None and shape(content) != shape(said):
                problems.append(f"the page shows\n{content}but it says\n{said}")
            if language != "sh":
                said = None
    return problems, ran


def python(page, _options):
    code = [content for language, content in blocks(page) if language == "python"]
    done = subprocess.run([sys.executable, "-c", "\n".join(code)], cwd=SOURCE, text=True, check=False,
                          capture_output=True, env={**os.environ, "PYTHONPATH": str(SOURCE / "bindings/python/src")})
    print(done.stdout)
    return ([] if done.returncode == 0 else [done.stderr]), len(code)


def c(name, text, options):
    """Each block stands in a function of its own, or, if it begins with one, beside it."""
    problems, tried = [], 0
    for language, content in blocks(text):
        if language != "c":
            continue
        outside = re.match(r"static |#include", content)
        before = "".join(PREAMBLE.splitlines(True)[:3]) if outside else PREAMBLE
        body = content if outside else "void block(void);\nvoid block(void)\n{\n" + content + "}\n"
        done = subprocess.run([*options.cc, "-std=c11", "-fsyntax-only", "-Wall", "-Werror",
                               "-Wno-unused", "-Wno-shadow", f"-I{SOURCE / 'include'}", "-x", "c", "-"],
                              input=before + body, text=True, capture_output=True, check=False)
        tried += 1
        if done.returncode != 0:
            problems.append(f"{name}:\n{content}{done.stderr}")
    return problems, tried


def self_test(options):
    """Each kind finds something wrong."""
    wrong = [("shell: status", shell("```sh\nfalse\n```\n", options)),
             ("shell: output", shell("```sh\necho a 12\n```\n\n```\nb 13\n```\n", options)),
             ("python", python("```python\nassert False\n```\n", options)),
             ("c", c("page", "```c\namun_nonsense();\n```\n", options))]
    right = [("shell", shell("1. A list\n\n   ```sh\n   echo 'a   12 b'; echo x...\n   ```\n\nProse.\n```\na 3.5 b\n```\n", options)),
             ("python", python("```python\nx = 1\n```\n```python\nassert x\n```\n", options)),
             ("c", c("page", "```c\nsize_t n = count;\n```\n```c\nstatic int f(void);\n```\n", options))]
    return [f"{name}: nothing was found" for name, (found, _) in wrong if not found] \
        + [f"{name}: {found}" for name, (found, _) in right if found]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["shell", "python", "c", "self-test"])
    parser.add_argument("page", nargs="?")
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--cc", type=str.split, default=["cc"])
    args = parser.parse_args()
    if args.kind == "self-test":
        found, count = self_test(args), 1
    elif args.kind == "c":
        found, count = [], 0
        for path in sorted((SOURCE / "docs").glob("*.md")):
            more, tried = c(path.name, path.read_text(encoding="utf-8"), args)
            found, count = found + more, count + tried
    else:
        found, count = globals()[args.kind]((SOURCE / args.page).read_text(encoding="utf-8"), args)
    for problem in found:
        print("problem: " + problem)
    print(f"{count} blocks")
    sys.exit(1 if found or not count else 0)
