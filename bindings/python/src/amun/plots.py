"""Pictures of what the library measures, with matplotlib.

Every function takes NumPy arrays, or the dict of a JSON report (json.load of what the examples
and Report.write() wrote), draws into `ax` (or a figure of its own) and returns the Axes; grids of
images return the Figure. Nothing is saved or shown: `ax.figure.savefig("roc.png")`. matplotlib is
imported by the first call, so that the rest of the package works without it.
"""
import numpy as np

from ._audit import auc

BLUE, ORANGE, GREEN, RED, GREY = "#2b6cb0", "#d9772b", "#3a8a5f", "#c2413b", "#8a94a3"
CYCLE = (BLUE, ORANGE, GREEN, RED, "#7a5ea8", "#b08a2e", GREY)

# Figures of amun.report/1 and amun.compare/1 as they are called in text.
NAMES = {
    "ua": "UA, accuracy on forgotten samples, %", "ra": "RA, accuracy on remaining samples, %",
    "ta": "TA, accuracy on test samples, %", "ft_auc": "FT-AUC, forgotten against test, %",
    "fr_auc": "FR-AUC, remaining against forgotten, %",
    "rt_auc": "RT-AUC, remaining against test, %", "mis": "MIS, called non-members, %",
    "gap": "average gap to retrain, points", "seconds": "seconds",
}


def _axes(ax, width=6.0, height=4.0):
    """`ax`, or the axes of a new figure of this size in inches."""
    if ax is not None:
        return ax
    _figure, ax = _pyplot().subplots(figsize=(width, height), layout="constrained")
    return ax


def _pyplot():
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("amun.plots needs matplotlib (Debian: python3-matplotlib; pip install "
                          "matplotlib), which could not be imported: %s" % error) from error
    return pyplot


def _tidy(ax, grid="both"):
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_axisbelow(True)
    ax.grid(True, axis=grid, color="#e3e7ec", linewidth=0.8)
    return ax


def _finite(values, what):
    """A flat float64 array, refused when empty or not finite: matplotlib would draw nothing and
    say nothing."""
    values = np.asarray(values, np.float64).ravel()
    if values.size == 0:
        raise ValueError("%s: no values" % what)
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise ValueError("%s: value %d is %s" % (what, wrong[0], values[wrong[0]]))
    return values


def _matrix(values, what):
    values = np.array([[np.nan if v is None else v for v in row] for row in values], np.float64)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError("%s: expected a table [rows, columns], got %s" % (what,
                                                                         list(values.shape)))
    return values


# ---- attacks on membership -----------------------------------------------------------------------


def roc_points(positives, negatives):
    """(false-positive rates, true-positive rates), both from 0 to 1: a point for each distinct
    score as the threshold, from (0, 0) to (1, 1). Scores: any shape, higher means positive."""
    positives, negatives = _finite(positives, "positives"), _finite(negatives, "negatives")
    thresholds = np.unique(np.concatenate([positives, negatives]))[::-1]
    rates = [1 - np.searchsorted(np.sort(side), thresholds, "left") / side.size
             for side in (negatives, positives)]
    return tuple(np.concatenate([[0.0], rate]) for rate in rates)


def roc(positives, negatives, ax=None, log=False, label=None, color=None):
    """The ROC curve of an attack: `positives`, scores of members (forgotten samples), `negatives`, of
    non-members (test samples). `log`: both axes logarithmic, from 1 / number of negatives, where
    an average hides what happens to the worst-hit samples. The legend has the area under the
    curve in percent; call again with the same `ax` for more curves. Returns the Axes."""
    false, true = roc_points(positives, negatives)
    ax = _axes(ax, 4.6, 4.4)
    area = 100 * auc(np.ravel(positives), np.ravel(negatives))
    text = "AUC %.1f %%" % area if label is None else "%s, AUC %.1f %%" % (label, area)
    first = len(ax.get_lines()) == 0
    low = 1.0 / np.size(negatives)
    if first:
        chance = np.geomspace(low, 1, 50) if log else [0, 1]
        ax.plot(chance, chance, color=GREY, linewidth=1, linestyle="--", label="guessing")
    ax.plot(false, true, linewidth=1.8, label=text,  # straight where scores tie, as the area counts it
            color=color or CYCLE[(len(ax.get_lines()) - 1) % len(CYCLE)])
    if log:
        ax.set(xscale="log", yscale="log")
        low = min(low, ax.get_xlim()[0]) if not first else low
        ax.set(xlim=(low, 1), ylim=(low, 1))
    else:
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.set(xlabel="false-positive rate", ylabel="true-positive rate")
    ax.legend(loc="lower right", frameon=False)
    return _tidy(ax)


def scores(groups, ax=None, bins="auto", xlabel="membership score"):
    """Histograms on common bins, one per group. `groups`: dict of name to scores (any shape, finite);
    heights are shares of the group, so that groups of different size compare. Returns the Axes."""
    if not groups:
        raise ValueError("groups: empty")
    values = {name: _finite(group, name) for name, group in groups.items()}
    together = np.concatenate(list(values.values()))
    edges = np.histogram_bin_edges(together, bins)
    ax = _axes(ax)
    for i, (name, group) in enumerate(values.items()):
        ax.hist(group, edges, weights=np.full(group.size, 1.0 / group.size), histtype="stepfilled",
                alpha=0.35, color=CYCLE[i % len(CYCLE)])
        ax.hist(group, edges, weights=np.full(group.size, 1.0 / group.size), histtype="step",
                linewidth=1.6, color=CYCLE[i % len(CYCLE)], label="%s (%d)" % (name, group.size))
    ax.set(xlabel=xlabel, ylabel="share of the group", xlim=(edges[0], edges[-1]))
    ax.set_ylim(0, 1.1 * max(ax.get_ylim()[1], 1e-9))  # room for the legend
    ax.legend(frameon=False)
    return _tidy(ax, "y")


def distances(groups, ax=None, bins="auto", norm="l2"):
    """Histograms of how far adversarial examples are from their images. `groups`: a table of records
    (AdvSet.records, what Attack.run returned), an array of distances (pixels in [0, 1]), or a dict
    of name to either. Of records those count whose class changed. `norm`: "l2" or "linf", the
    field of the records. Returns the Axes."""
    if norm not in ("l2", "linf"):
        raise ValueError("norm: expected 'l2' or 'linf', got %r" % (norm,))
    groups = groups if isinstance(groups, dict) else {"adversarial examples": groups}
    return scores({name: _moved(group, norm) for name, group in groups.items()}, ax, bins,
                  "distance (%s, pixels in [0, 1])" % norm)


def _moved(group, norm):
    group = np.asarray(group)
    if group.dtype.names is None:
        return group
    return group[norm][(group["adversarial"] != group["label"]) & (group["adversarial"] >= 0)]


def adversarial(images, adversarials, labels=None, predictions=None, count=8):
    """Images, their adversarial examples and the difference, three rows of `count` columns at most.
    `images`, `adversarials`: [n, C, H, W] in [0, 1], C 1 or 3. `labels`, `predictions` [n]: true
    classes and the classes of the examples, as titles. The difference of each column is scaled to the full
    range around grey; its largest absolute value stands below it. Returns the Figure."""
    images, adversarials = (np.asarray(a, np.float64) for a in (images, adversarials))
    if images.ndim != 4 or images.shape != adversarials.shape or images.shape[1] not in (1, 3):
        raise ValueError("images %s and adversarials %s: expected the same [n, 1 or 3, H, W]"
                         % (list(images.shape), list(adversarials.shape)))
    count = min(count, len(images))
    if count < 1:
        raise ValueError("no images")
    figure, axes = _pyplot().subplots(3, count, figsize=(1.15 * count + 0.8, 3.9), squeeze=False,
                                      layout="constrained")
    for i in range(count):
        moved = adversarials[i] - images[i]
        reach = np.abs(moved).max()
        rows = (images[i], adversarials[i], 0.5 + moved / (2 * reach if reach > 0 else 1))
        for ax, picture in zip(axes[:, i], rows):
            ax.imshow(np.squeeze(np.moveaxis(picture, 0, -1)), cmap="gray", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
        axes[0, i].set_title("" if labels is None else str(labels[i]), fontsize=10)
        axes[1, i].set_title("" if predictions is None else str(predictions[i]), fontsize=10,
                             color=RED)
        axes[2, i].set_xlabel("%.3f" % reach, fontsize=9)
    for ax, text in zip(axes[:, 0], ("image", "adversarial", "difference")):
        ax.set_ylabel(text)
    return figure


# ---- spectra -------------------------------------------------------------------------------------


def _layers(source):
    """(name, singular values, lower, upper) of each layer of whatever spectra() accepts."""
    if isinstance(source, dict) and "layers" in source:
        for layer in source["layers"]:
            if "values" in layer:
                yield layer["name"], layer["values"], layer["sigma_lower"], layer["sigma_upper"]
            else:  # the report of examples/clip
                yield layer["name"], [layer["after"]], layer["after"], layer["at_most"]
    elif isinstance(source, dict):
        for name, values in source.items():
            yield name, values, None, None
    else:
        for i in range(len(source)):
            layer = source[i]
            yield layer.name, source.values(i)[0], layer.sigma_lower, layer.sigma_upper


def spectra(sources, ax=None, target=None, log=False):
    """Singular values layer by layer: a dot for each value, a bar from the certified lower to the
    certified upper bound of the largest. `sources`: a Spectrum after run(), the report of
    examples/spectrum or examples/clip, a dict of layer name to values, or a dict of label to any
    of these, side by side ("before", "after"). `target`: a line at this norm. Returns the Axes."""
    if not isinstance(sources, dict) or "layers" in sources or not any(
            isinstance(v, dict) or hasattr(v, "lipschitz") for v in sources.values()):
        sources = {None: sources}
    told = {label: [(name, [v for v in values if v is not None], low, high)
                    for name, values, low, high in _layers(source)]
            for label, source in sources.items()}
    names = list(dict.fromkeys(name for layers in told.values() for name, *_ in layers))
    if not names:
        raise ValueError("no layers")
    ax = _axes(ax, max(4.5, 1.0 + 0.75 * len(names)))
    step = 0.6 / len(told)
    for k, (label, layers) in enumerate(told.items()):
        _draw_layers(ax, names, layers, (k - (len(told) - 1) / 2) * step, CYCLE[k % len(CYCLE)],
                     label)
    if target is not None:
        ax.axhline(target, color=RED, linewidth=1.2, linestyle="--", label="target %g" % target)
    turn = 35 if len(names) > 5 or max(map(len, names)) > 9 else 0
    ax.set(xticks=range(len(names)), ylabel="singular value", xlim=(-0.6, len(names) - 0.4))
    ax.set_xticklabels(names, rotation=turn, ha="right" if turn else "center")
    if log:
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=0)
    if len(told) > 4:  # beside the picture rather than over it
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    elif target is not None or list(told) != [None]:
        ax.legend(frameon=False)
    return _tidy(ax, "y")


def _draw_layers(ax, names, layers, offset, color, label):
    places = [names.index(name) + offset for name, values, *_ in layers for _ in values]
    ax.scatter(places, [v for _, values, *_ in layers for v in values], s=22, color=color, label=label,
               alpha=0.75, linewidths=0, zorder=3)
    bounds = [(names.index(name) + offset, low, high) for name, _, low, high in layers
              if low is not None and high is not None]
    if bounds:
        places, low, high = map(np.asarray, zip(*bounds))
        ax.errorbar(places, low, yerr=[np.zeros(len(low)), np.maximum(high - low, 0)], fmt="none",
                    ecolor=color, capsize=4, linewidth=1.4, zorder=2)


# ---- matrices ------------------------------------------------------------------------------------


def _heat(ax, values, rows, columns, form, low, high):
    """A table as coloured cells with their numbers; a dash where there is none."""
    from matplotlib.colors import LinearSegmentedColormap
    colours = LinearSegmentedColormap.from_list("amun", ["#f7fafc", "#7fb2dd", "#1d4e89"])
    colours.set_bad("#e9ecef")
    ax.imshow(np.ma.masked_invalid(values), cmap=colours, vmin=low, vmax=high, aspect="auto")
    middle = low + 0.55 * (high - low)
    for (i, j), value in np.ndenumerate(values):
        ax.text(j, i, "-" if np.isnan(value) else form % value, ha="center", va="center",
                fontsize=9, color="white" if value > middle else "#1a202c")
    ax.set(xticks=range(len(columns)), yticks=range(len(rows)))
    ax.set_xticklabels(columns)
    ax.set_yticklabels(rows)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _named(names, count, what):
    names = [str(i) for i in range(count)] if names is None else [str(name) for name in names]
    if len(names) != count:
        raise ValueError("%s: %d names for %d" % (what, len(names), count))
    return names


def rates_of(report):
    """The T_rate matrix [attacked, judged] of a report of examples/ensemble; NaN where no sample
    was eligible."""
    count = report["members"]
    return _matrix([[report["rate_%d_%d" % (i, j)] for j in range(count)] for i in range(count)],
                   "rates")


def transfer(rates, ax=None, names=None):
    """T_rate as a matrix: of the samples that both models get right and on which the attack on the
    row's model succeeds, the share in [0, 1] that fools the column's model, too; on the diagonal the
    attack's success. `rates`: [models, models], a Transfer, or the report of examples/ensemble.
    `names`: of the models. Returns the Axes."""
    if isinstance(rates, dict):
        rates = rates_of(rates)
    rates = _matrix(getattr(rates, "rates", rates), "rates")
    if rates.shape[0] != rates.shape[1]:
        raise ValueError("rates: expected a square, got %s" % list(rates.shape))
    names = _named(names, len(rates), "names")
    ax = _axes(ax, 1.8 + 0.8 * len(rates), 1.5 + 0.7 * len(rates))
    _heat(ax, rates, names, names, "%.2f", 0.0, 1.0)
    ax.set(xlabel="judged by", ylabel="attacked")
    return ax


def routing(shares, ax=None, names=None, classes=None):
    """Which class the images of a forgotten class go to: a row per model, a column per class,
    in percent. `shares`: [models, classes], or the report of examples/compare --class or
    examples/class_audit. `names`: of the rows; `classes`: of the columns. Returns the Axes."""
    if isinstance(shares, dict):
        if "rows" in shares and isinstance(shares["rows"], list):
            names = names or [row["name"] for row in shares["rows"]]
            shares = [row["routing"] for row in shares["rows"]]
        else:
            names, shares = names or ["unlearned"], [shares["routing"]]
    shares = _matrix(shares, "shares")
    names = _named(names, len(shares), "names")
    classes = _named(classes, shares.shape[1], "classes")
    ax = _axes(ax, 2.4 + 0.55 * shares.shape[1], 1.2 + 0.42 * len(shares))
    _heat(ax, shares, names, classes, "%.0f", 0.0, 100.0)
    ax.set(xlabel="class of the prediction")
    return ax


# ---- methods side by side ------------------------------------------------------------------------


def runs_of(report, figure):
    """dict of method to the values of all runs, without those that were not measured, from the
    report amun.report/1 or amun.compare/1."""
    if "methods" in report:
        rows = {m["name"]: [run.get(figure) for run in m["per_run"]] for m in report["methods"]}
        if all(v is None for runs in rows.values() for v in runs):  # the gap is of the mean
            rows = {m["name"]: [m.get(figure)] for m in report["methods"]}
    elif "rows" in report:
        rows = {row["name"]: np.atleast_1d(row.get(figure, [])).tolist() for row in report["rows"]}
    else:
        raise ValueError("neither a report amun.report/1 nor amun.compare/1: no methods, no rows")
    rows = {name: [v for v in runs if v is not None] for name, runs in rows.items()}
    if not any(rows.values()):
        raise ValueError("%s: no method has this figure" % figure)
    return rows


def comparison(methods, figure=None, ax=None, reference=None, xlabel=None):
    """Methods one below the other: a small dot per run, the mean, and a bar of one sample standard
    deviation to each side (with two runs or more). `methods`: dict of name to the values of its
    runs; or a report amun.report/1 or amun.compare/1 with `figure`, "ft_auc" or another of its
    names. `reference`: the method whose mean is drawn as a line and whose deviation as a band;
    default: "retrain" where there is one (any case), False: none. Returns the Axes."""
    if figure is not None:
        methods, xlabel = runs_of(methods, figure), xlabel or NAMES.get(figure, figure)
    methods = {name: np.ravel(np.asarray(runs, np.float64)) for name, runs in methods.items()}
    if not methods:
        raise ValueError("methods: empty")
    if reference is None:
        reference = next((n for n in methods if n.lower() in ("retrain", "retrained")), False)
    if reference is not False and reference not in methods:
        raise ValueError("reference: there is no method %r" % (reference,))
    ax = _axes(ax, 6.0, 1.2 + 0.42 * len(methods))
    if reference is not False and methods[reference].size:
        _draw_reference(ax, methods[reference])
    for i, (name, runs) in enumerate(methods.items()):
        color = GREEN if name == reference else BLUE
        if runs.size:
            ax.scatter(runs, np.full(runs.size, i), s=14, color=color, alpha=0.45, linewidths=0)
            ax.errorbar(runs.mean(), i, xerr=runs.std(ddof=1) if runs.size > 1 else None, fmt="o",
                        color=color, capsize=4, markersize=6, linewidth=1.6)
    ax.set(yticks=range(len(methods)), ylim=(len(methods) - 0.4, -0.6), xlabel=xlabel or "")
    ax.set_yticklabels(list(methods))
    return _tidy(ax, "x")


def _draw_reference(ax, runs):
    ax.axvline(runs.mean(), color=GREEN, linewidth=1.2, linestyle="--", zorder=1)
    if runs.size > 1:
        spread = runs.std(ddof=1)
        ax.axvspan(runs.mean() - spread, runs.mean() + spread, color=GREEN, alpha=0.12, zorder=0,
                   linewidth=0)


__all__ = ["adversarial", "comparison", "distances", "rates_of", "roc", "roc_points", "routing",
           "runs_of", "scores", "spectra", "transfer"]
