"""Careful reading of JSON: what is missing or of the wrong type is named by its place."""
import math


class ReportError(ValueError):
    """A report that cannot be read, or a page that cannot be written."""


class Node:
    """An object of a report with its place, for messages."""

    def __init__(self, fields, place):
        self.fields, self.place = fields, place

    def _at(self, key):
        return "%s.%s" % (self.place, key) if self.place else str(key)

    def _get(self, key, kinds, what, optional):
        value = self.fields.get(key)
        if value is None and optional:
            return None
        if key not in self.fields:
            raise ReportError("%s is missing" % self._at(key))
        if not isinstance(value, kinds) or isinstance(value, bool) and bool not in kinds:
            raise ReportError("%s: expected %s, found %.60r" % (self._at(key), what, value))
        return value

    def text(self, key, default=None):
        value = self._get(key, (str,), "text", default is not None)
        return default if value is None else value

    def count(self, key, optional=False):
        return self._get(key, (int,), "an integer", optional)

    def real(self, key, optional=True):
        """A finite number as a float; None for null (what could not be measured) and, if
        `optional`, for a key that is not there."""
        if key in self.fields and self.fields[key] is None:
            return None
        return _real(self._get(key, (int, float), "a number", optional), self._at(key))

    def reals(self, key, optional=False):
        """A list of numbers and None."""
        values = self._get(key, (list,), "a list of numbers", optional)
        if values is None:
            return None
        for i, value in enumerate(values):
            if value is not None and (isinstance(value, bool)
                                      or not isinstance(value, (int, float))):
                raise ReportError("%s[%d]: expected a number, found %.60r" % (self._at(key), i,
                                                                             value))
        return [_real(v, "%s[%d]" % (self._at(key), i)) for i, v in enumerate(values)]

    def node(self, key, optional=False):
        value = self._get(key, (dict,), "an object", optional)
        return None if value is None else Node(value, self._at(key))

    def nodes(self, key):
        """A list of objects."""
        values = self._get(key, (list,), "a list of objects", False)
        for i, value in enumerate(values):
            if not isinstance(value, dict):
                raise ReportError("%s[%d]: expected an object, found %.60r" % (self._at(key), i,
                                                                              value))
        return [Node(value, "%s[%d]" % (self._at(key), i)) for i, value in enumerate(values)]


def _real(value, place):
    if value is None:
        return None
    try:
        value = float(value)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ReportError("%s: the number is too large" % place)
    return value


def flat(value, prefix=""):
    """(path, text) of every value below a JSON object, for tables of settings; no recursion, since
    the depth is the file's choice."""
    pending, told = [(prefix, value)], []
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict) and value:
            pending += [("%s.%s" % (path, key) if path else key, value[key])
                        for key in reversed(list(value))]
        elif isinstance(value, list) and any(isinstance(v, (dict, list)) for v in value):
            pending += [("%s[%d]" % (path, i), v) for i, v in reversed(list(enumerate(value)))]
        elif isinstance(value, list):
            told.append((path, ", ".join(map(_word, value)) or "none"))
        else:
            told.append((path, _word(value)))
    return told


def _word(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "%.10g" % value
    return str(value) if not isinstance(value, dict) else "{}"
