"""Runs the code cells of a notebook in order, in one namespace, as a kernel would; no Jupyter.

As a program: notebook.py NOTEBOOK [FOLDER FOR PICTURES], in the notebook's folder."""
import json
import os
import pathlib
import sys


def cells(path):
    """(number, source) of the code cells."""
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    return [(i, "".join(cell["source"])) for i, cell in enumerate(content["cells"])
            if cell["cell_type"] == "code"]


def run(path, each=None, changes=()):
    """The namespace after the last cell. `each(number, figures)` is called after a cell with the
    figures that it made, which are closed then. `changes`: (old, new) texts in the sources."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    space = {"__name__": "__main__"}
    for number, source in cells(path):
        for old, new in changes:
            source = source.replace(old, new)
        exec(compile(source, "%s[%d]" % (os.path.basename(path), number), "exec"), space)
        if each is not None:
            each(number, [pyplot.figure(n) for n in pyplot.get_fignums()])
        pyplot.close("all")
    return space


def _save(folder):
    def each(number, figures):
        for i, figure in enumerate(figures):
            figure.savefig(pathlib.Path(folder, "%02d-%d.png" % (number, i)), dpi=80)
    return each


if __name__ == "__main__":
    run(sys.argv[1], _save(sys.argv[2]) if len(sys.argv) > 2 else None)
