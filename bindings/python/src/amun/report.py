"""A page for people from a JSON report: `python -m amun.report report.json -o report.html`.

Takes what Report.write() and the programs in examples/ write with --json. The page is one file without
scripts, pictures or styles from elsewhere; it needs no matplotlib. The same input gives the same
bytes. render() is the same as a function.
"""
import argparse
import hashlib
import json
import os
import pathlib
import sys
import tempfile

from . import _report_kinds as kinds
from ._report_page import esc, note, number, page, section
from ._report_read import Node, ReportError

LIMIT = 64 << 20  # bytes of input: reports have a few hundred kilobytes at most
SHOWN = 1 << 18  # characters of JSON that the page repeats


def kind_of(report):
    """The name of a report's kind: its "schema", or the "program" that wrote it."""
    schema, program = report.get("schema"), report.get("program")
    name = schema if schema is not None else program
    if not isinstance(name, str) or name not in kinds.KINDS:
        what = "no \"schema\" and no \"program\"" if name is None else "%s %s" % (
            "schema" if schema is not None else "program", json.dumps(name)[:80])
        raise ReportError("%s; known are %s" % (what, ", ".join(sorted(kinds.KINDS))))
    return name


def _constant(text):
    raise ReportError("%s is no JSON number" % text)


def parse(data):
    """The object in the JSON text `data` (bytes). ReportError: it is none."""
    try:
        report = json.loads(data.decode("utf-8-sig"), parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise ReportError("not UTF-8 at byte %d" % error.start) from error
    except RecursionError as error:
        raise ReportError("nested too deeply") from error
    except ReportError:
        raise
    except ValueError as error:  # json.JSONDecodeError, and numbers with too many digits
        raise ReportError("not JSON: %s" % error) from error
    if not isinstance(report, dict):
        raise ReportError("expected an object, found %s" % type(report).__name__)
    return report


def render(report, title=None, source=None, data=None):
    """The page, as text, for a report: a dict as json.load gives it. `title`: instead of the kind's
    own; `source`, `data`: name and bytes of the file, for the section that says where the page
    comes from. ReportError: unknown kind, or a field that is missing or of the wrong type."""
    name = kind_of(report)
    kind, usual, lead, parts = kinds.KINDS[name](Node(report, ""))
    parts = [*parts, _source(report, name, source, data)]
    return page(kind, title or usual, lead, "\n".join(parts), _footer())


def _footer():
    from . import __version__
    return ("Made by libamun %s, <code>amun.report</code>. Numbers are those of the JSON file, "
            "rounded; a dash stands for what was not measured." % esc(__version__))


def _source(report, name, source, data):
    try:
        text = json.dumps(report, indent=2, ensure_ascii=False)
    except RecursionError as error:
        raise ReportError("nested too deeply") from error
    if data is None:
        data = text.encode("utf-8", "surrogatepass")
    told = "Kind <code>%s</code>%s, %s bytes, SHA-256 <code>%s</code>." % (
        esc(name), ", file <code>%s</code>" % esc(source) if source else "", number(len(data)),
        hashlib.sha256(data).hexdigest())
    if len(text) > SHOWN:
        return section("Source", note(told + " Too long to be repeated here."))
    lines = "\n".join(esc(line) for line in text.split("\n"))
    return section("Source", note(told),
                   "<details><summary>The whole report</summary><pre>%s</pre></details>" % lines)


# ---- command line --------------------------------------------------------------------------------


def _read(path):
    try:
        if path == "-":
            data = sys.stdin.buffer.read(LIMIT + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(LIMIT + 1)
    except OSError as error:
        raise ReportError(error.strerror or str(error)) from error
    if len(data) > LIMIT:
        raise ReportError("more than %d bytes" % LIMIT)
    return data


def _write(path, text):
    """All of it or nothing: a file beside `path` that takes its name when it is complete."""
    data = text.encode("utf-8")
    if path == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    temporary = None
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # a folder, a pipe, a device
            with open(path, "wb") as file:
                file.write(data)
            return
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".report-")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise ReportError(error.strerror or str(error)) from error
    finally:
        if temporary is not None:
            os.unlink(temporary)


def _arguments(argv):
    parser = argparse.ArgumentParser(prog="amun.report", description="Writes a JSON report of "
                                     "libamun as one HTML page that needs nothing else.")
    parser.add_argument("report", help="the JSON file; - for standard input")
    parser.add_argument("-o", "--output", metavar="FILE", help="the page; - for standard output "
                        "(default: the report's name with .html)")
    parser.add_argument("--title", help="title of the page")
    args = parser.parse_args(argv)
    if args.output is None:
        args.output = "-" if args.report == "-" else str(
            pathlib.PurePath(args.report).with_suffix(".html"))
    if args.output != "-" and args.report != "-" and os.path.exists(args.output) \
            and os.path.exists(args.report) and os.path.samefile(args.output, args.report):
        parser.error("the page would replace the report")
    return args


def main(argv=None):
    """Exit status: 0 done; 2 the command line, the report or the place of the page is at fault, with
    one line on standard error."""
    args = _arguments(argv)
    place = args.report
    try:
        data = _read(args.report)
        source = None if args.report == "-" else os.path.basename(args.report)
        text = render(parse(data), args.title, source, data)
        place = args.output
        _write(args.output, text)
    except ReportError as error:
        message = "amun.report: %s: %s" % (place, error)
        print(message.encode("utf-8", "backslashreplace").decode().replace("\n", " "),
              file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
