"""Pieces of the page that amun.report writes: escaped text, numbers, tables, charts as SVG, the frame.

Everything is text that this module makes itself: no picture library, so that a report looks the
same, byte for byte, wherever it is made. What comes from outside goes through esc()."""
import html
import math
import re
import unicodedata

DASH = '<span class="none" title="not measured">&#8211;</span>'


def visible(text):
    """`text` with everything that is not seen written out (control characters, marks that turn the
    direction of writing, halves of surrogate pairs), so that a name cannot pretend to be another."""
    return "".join("\\u%04x" % ord(c) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")
                   else c for c in str(text))


def esc(text):
    """Text for content and for attributes in quotes."""
    return html.escape(visible(text), quote=True)


def number(value, digits=2):
    """A number as HTML with a real minus; a dash for None. Small ones keep their first digits."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        text = "{:,}".format(value).replace(",", "&#8239;") if abs(value) < 10**15 else str(value)
    elif value != 0 and abs(value) < 0.5 * 10**-digits or abs(value) >= 1e7:
        text = "%.3g" % value
    else:
        text = "%.*f" % (digits, value)
    return text.replace("-", "&#8722;")


def spread(mean, deviation, digits=2):
    """mean +- sample standard deviation; the mean alone where there is no deviation."""
    text = number(mean, digits)
    if mean is not None and deviation is not None:
        # To as many places as the mean, unless all of that is smaller than its last place.
        last = 0.5 * 10**-digits
        told = "%.*f" % (digits, deviation) if deviation < last <= abs(mean) else number(deviation, digits)
        text += ' <span class="sd">&#177;&#8239;%s</span>' % told
    return text


def summarise(runs):
    """(mean, sample standard deviation) of the numbers in `runs`; None for what there is not."""
    runs = [value for value in runs if value is not None]
    if not runs:
        return None, None
    mean = math.fsum(runs) / len(runs)
    if len(runs) < 2:
        return mean, None
    return mean, math.sqrt(math.fsum((v - mean) ** 2 for v in runs) / (len(runs) - 1))


def words(text):
    """A cell of text."""
    return '<td class="text">%s</td>' % esc(text)


def table(heads, rows, caption=None, strong=()):
    """`heads`: texts, or (text, explanation); `rows`: a text to be escaped, then cells of HTML. Rows
    whose name is in `strong` are set off. Heads stand over their column as its first cell does; many
    columns make the table narrow, with deviations below their means."""
    sides = [re.match('<td class="(text|heat)', c) for c in (rows[0][1:] if rows else ())]
    sides = [None] + sides + [None] * (len(heads) - 1 - len(sides))
    look = "cells" if sides[1:2] and sides[1] and sides[1].group(1) == "heat" else "dense"
    look = ' class="%s"' % look if look == "cells" or len(heads) > 8 else ""
    parts = ['<div class="wide"><table%s>' % look]
    if caption:
        parts.append("<caption>%s</caption>" % esc(caption))
    parts.append("<thead><tr>")
    for head, side in zip(heads, sides):
        text, about = head if isinstance(head, tuple) else (head, None)
        title = ' title="%s"' % esc(about) if about else ""
        kind = ' class="%s"' % side.group(1) if side else ""
        parts.append('<th scope="col"%s%s>%s</th>' % (kind, title, esc(text)))
    parts.append("</tr></thead><tbody>")
    for name, *cells in rows:
        kind = ' class="strong"' if name in strong else ""
        parts.append('<tr%s><th scope="row">%s</th>%s</tr>' % (
            kind, esc(name), "".join(c if c.startswith("<td") else "<td>%s</td>" % c
                                     for c in cells)))
    return "".join(parts) + "</tbody></table></div>"


def heat_cell(value, low, high, digits=0):
    """A cell whose colour is its value's place between `low` and `high`."""
    if value is None:
        return '<td class="heat empty">%s</td>' % DASH
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    colour = [round(a + (b - a) * share) for a, b in zip((247, 250, 252), (29, 78, 137))]
    return '<td class="heat" style="background:rgb(%d,%d,%d);color:%s">%s</td>' % (
        *colour, "#fff" if share > 0.5 else "#1a202c",
        "&lt;1" if digits == 0 and 0 < value < 0.5 else number(value, digits))


def cards(entries):
    """(name, HTML of a value, a word below or None) as a row of boxes."""
    return '<div class="cards">%s</div>' % "".join(
        '<div class="card"><div class="label">%s</div><div class="value">%s</div>%s</div>' % (
            esc(name), value, '<div class="below">%s</div>' % esc(below) if below else "")
        for name, value, below in entries)


def note(text, kind="note"):
    """A box; `kind`: "note", "good", "warn". `text` is HTML."""
    return '<div class="box %s">%s</div>' % (kind, text)


def section(title, *parts):
    return "<section><h2>%s</h2>%s</section>" % (esc(title), "".join(parts))


def terms(entries):
    """A list of (term, explanation), both escaped."""
    return "<dl>%s</dl>" % "".join("<dt>%s</dt><dd>%s</dd>" % (esc(a), esc(b)) for a, b in entries)


# ---- charts --------------------------------------------------------------------------------------


def _ticks(low, high):
    """About five round numbers that cover low..high."""
    rough = max((high - low) / 4, 1e-12)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * k for k in range(first, last + 1)]


def _axis(low, high, limits):
    """Ticks for values in low..high, inside `limits` unless values are outside them."""
    if high - low < 1e-9 * max(abs(high), 1e-3):
        low, high = low - 0.05 * max(abs(low), 1e-3), high + 0.05 * max(abs(high), 1e-3)
    bottom, top = limits
    low = low if bottom is None else max(low, bottom)
    high = high if top is None else min(high, top)
    return _ticks(low, max(high, low + 1e-9 * max(abs(low), 1e-3)))


def _tick_text(value, step):
    digits = max(0, -math.floor(math.log10(step) + 1e-9) + (1 if 2.4 < step / 10.0 ** math.floor(
        math.log10(step)) < 2.6 else 0))
    return ("%.*f" % (digits, value + 0.0)).replace("-", "\u2212")


def strip_chart(title, rows, line=None, band=None, limits=(None, None), line_text=None):
    """A row per name with a dot per value. `rows`: (name, values, mean or None, (low, high) or
    None, highlighted); `line`, `band`: where a vertical line, a shaded range stands; `limits`: what the
    axis, the bars and the band do not go beyond. SVG; "" when there is no value at all."""
    everything = [v for _, values, mean, bar, _ in rows
                  for v in (*values, *([mean] if mean is not None else []), *(bar or ()))]
    everything += [v for v in (line, *(band or ())) if v is not None]
    if not any(values or mean is not None for _, values, mean, _, _ in rows):
        return ""
    ticks = _axis(min(everything), max(everything), limits)
    low, high = ticks[0], ticks[-1]
    left = 24 + 6.9 * min(max(len(visible(name)) for name, *_ in rows), 26)
    width, step, top = 520.0, 26, 14
    bottom = top + step * len(rows)

    def place(value):
        value = min(max(value, low), high)
        return left + (width - 24 - left) * (value - low) / (high - low)

    parts = ['<figure><figcaption>%s</figcaption><svg viewBox="0 0 %d %d" role="img" '
             'aria-label="%s">' % (esc(title), width, bottom + 26, esc(title))]
    for tick in ticks:
        parts.append('<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>'
                     '<text class="tick" x="%.1f" y="%d">%s</text>' % (
                         place(tick), place(tick), top, bottom, place(tick), bottom + 16,
                         _tick_text(tick, ticks[1] - ticks[0])))
    if band:
        parts.append('<rect class="band" x="%.1f" y="%d" width="%.1f" height="%d"/>' % (
            place(band[0]), top, max(place(band[1]) - place(band[0]), 0.5), bottom - top))
    if line is not None:
        parts.append('<line class="mark" x1="%.1f" x2="%.1f" y1="%d" y2="%d">%s</line>' % (
            place(line), place(line), top, bottom,
            "<title>%s</title>" % esc(line_text) if line_text else ""))
    for i, row in enumerate(rows):
        parts.append(_strip(row, top + step * (i + 0.5), left, place))
    return "".join(parts) + "</svg></figure>"


def _strip(row, y, left, place):
    name, values, mean, bar, strong = row
    shown = visible(name)
    shown = shown if len(shown) <= 26 else shown[:25] + "\u2026"
    parts = ['<g class="%s"><title>%s</title><text class="name" x="%.1f" y="%.1f">%s</text>' % (
        "row strong" if strong else "row", esc(name), left - 10, y + 4, html.escape(shown))]
    if bar:
        parts.append('<path class="bar" d="M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8"/>' % (
            place(bar[0]), y, place(bar[1]), place(bar[0]), y - 4, place(bar[1]), y - 4))
    for value in values:
        parts.append('<circle class="dot" cx="%.1f" cy="%.1f" r="%g"/>' % (
            place(value), y, 3 if mean is not None else 4))
    if mean is not None:
        parts.append('<circle class="mean" cx="%.1f" cy="%.1f" r="5"/>' % (place(mean), y))
    return "".join(parts) + "</g>"


def runs_chart(title, methods, reference=None, limits=(None, None)):
    """strip_chart of (name, values of the runs) with means and sample deviations; line and band from
    the method called `reference`."""
    rows, line, band = [], None, None
    for name, runs in methods:
        runs = [v for v in runs if v is not None]
        mean, deviation = summarise(runs)
        bar = (mean - deviation, mean + deviation) if deviation is not None else None
        if name == reference and mean is not None:
            line, band = mean, bar
        rows.append((name, runs if len(runs) > 1 else [], mean, bar, name == reference))
    return strip_chart(title, rows, line, band, limits, reference)


# ---- the frame -----------------------------------------------------------------------------------

STYLE = """
:root{color-scheme:light;--ink:#1a202c;--soft:#5a6778;--line:#dde3ea;--blue:#2b6cb0;--green:#2f7d55}
*{box-sizing:border-box}
body{margin:0;background:#eef1f5;color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",
"Liberation Sans",Roboto,sans-serif}
main{max-width:1040px;margin:28px auto;background:#fff;border:1px solid var(--line);border-radius:10px;
padding:0 44px 36px;overflow-wrap:anywhere}
header{margin:0 -44px;padding:34px 44px 26px;border-bottom:1px solid var(--line);
border-top:6px solid #1d4e89;border-radius:10px 10px 0 0}
header .kind{font-size:12px;letter-spacing:.09em;text-transform:uppercase;color:var(--soft)}
h1{font-size:28px;line-height:1.2;margin:4px 0 2px}
h2{font-size:19px;margin:36px 0 10px;padding-bottom:5px;border-bottom:1px solid var(--line)}
header p{margin:4px 0 0;color:var(--soft)}
.cards{display:flex;flex-wrap:wrap;gap:12px;margin:22px 0 4px}
.card{flex:1 1 130px;border:1px solid var(--line);border-radius:8px;padding:10px 14px;background:#fafbfc}
.card .label{font-size:12px;color:var(--soft)}.card .value{font-size:22px;font-weight:600;line-height:1.3}
.card .below{font-size:12px;color:var(--soft)}
.wide{overflow-x:auto;margin:12px 0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:14px}
caption{text-align:left;color:var(--soft);padding-bottom:4px}
th,td{padding:6px 10px;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}
thead th{font-size:12.5px;color:var(--soft);border-bottom:2px solid #c6cfda;font-weight:600;
overflow-wrap:normal}
tbody th{font-weight:600;min-width:8em}th:first-child{text-align:left}
tr.strong{background:#eef7f1}.text{text-align:left}td{white-space:nowrap}td.text{white-space:normal}
table.cells{width:auto;min-width:50%}th.heat{text-align:center}
td.heat{text-align:center;border:2px solid #fff;min-width:58px}
td.empty{background:#f0f2f5}
.dense th,.dense td{padding:6px 7px}.dense td{font-size:13.5px}.dense td .sd{display:block;font-size:11.5px}
.dense tbody th{min-width:7em}
.sd{color:var(--soft);font-size:12.5px}.none{color:#9aa5b4}
.box{border-left:4px solid #8a94a3;background:#f6f8fa;padding:10px 16px;margin:12px 0;border-radius:0 6px 6px 0}
.box.warn{border-color:#c27c1a;background:#fff8ec}.box.good{border-color:var(--green);background:#eff8f3}
.tag{display:inline-block;border-radius:10px;padding:1px 10px;font-size:12.5px;font-weight:600;
background:#e8ecf1;white-space:nowrap}
.tag.good{background:#d9f0e2;color:#1e5b3c}.tag.warn{background:#fdebc8;color:#7a4a06}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(400px,1fr));gap:8px 26px}
figure{margin:8px 0;max-width:640px}figcaption{font-weight:600;font-size:14px}
svg{width:100%;height:auto;font-family:inherit}
svg text{font-size:12.5px;fill:var(--ink)}svg .tick{fill:#6b7788;text-anchor:middle;font-size:11px}
svg .name{text-anchor:end}.grid{stroke:#e3e7ec}.mark{stroke:var(--green);stroke-dasharray:5 3;stroke-width:1.4}
.band{fill:var(--green);opacity:.13}.bar{stroke:var(--blue);stroke-width:1.7;fill:none}
.dot{fill:var(--blue);opacity:.5}.mean{fill:var(--blue)}
.strong .bar{stroke:var(--green)}.strong .dot,.strong .mean{fill:var(--green)}.strong .name{font-weight:600}
dl{margin:8px 0}dt{font-weight:600}dd{margin:0 0 8px;color:#38434f}
ul{margin:6px 0;padding-left:22px}
details{margin:12px 0}summary{cursor:pointer;color:var(--blue)}
pre{background:#f6f8fa;border:1px solid var(--line);border-radius:6px;padding:12px;font-size:12px;
white-space:pre-wrap}
code{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.92em}
footer{margin-top:36px;padding-top:12px;border-top:1px solid var(--line);color:var(--soft);font-size:12.5px}
@media (max-width:640px){main{margin:0;border:0;border-radius:0;padding:0 18px 24px}
header{margin:0 -18px;padding:24px 18px 18px}.charts{grid-template-columns:1fr}}
@media print{body{background:#fff;font-size:11pt}main{border:0;margin:0;max-width:none;padding:0}
header{margin:0;padding:12px 0;border-radius:0}section,figure,tr{break-inside:avoid}details{display:none}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""


def page(kind, title, lead, body, footer):
    """The whole document. `kind`, `title`, `lead` are text; `body` and `footer` HTML. The policy in
    its head forbids scripts and anything from elsewhere, should a browser ever be talked into it."""
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
            'style-src \'unsafe-inline\'">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            "<title>%s</title><style>%s</style></head><body><main>"
            '<header><div class="kind">%s</div><h1>%s</h1><p>%s</p></header>\n%s\n'
            "<footer>%s</footer></main></body></html>\n" % (
                esc(title), STYLE, esc(kind), esc(title), esc(lead), body, footer))
