"""What the page shows for each kind of report. A function takes the report as a Node and returns
(kind, title, lead, parts): texts, and the sections as HTML. KINDS has them all."""
import math

from ._report_figures import AUDITS, CLASS_FIGURES, DETAILS, FIGURES
from ._report_page import (cards, esc, heat_cell, note, number, runs_chart, section, spread,
                           strip_chart, summarise, table, terms, words)
from ._report_read import Node, ReportError, flat

SPREAD = "Mean over the runs, with the sample standard deviation."
DIGITS = {"seconds": 1}
UNBOUNDED = ("gap", "miann_gap", "miann_top_gap", "seconds")  # the others are percentages


def _is_retrain(name):
    return name.lower() in ("retrain", "retrained")


def _is_original(name):
    return name.lower() == "original"


def _columns(columns, rows):
    """The columns for which at least one row has a value. rows: [(name, {key: (mean, sd)})]."""
    return [c for c in columns if any(values.get(c[0], (None,))[0] is not None
                                      for _, values in rows)]


def _figures_table(columns, rows, caption=None):
    columns = _columns(columns, rows)
    return table(["Method"] + [(text, about) for _, text, about in columns],
                 [[name] + [spread(*values.get(key, (None, None)), DIGITS.get(key, 2))
                            for key, _, _ in columns] for name, values in rows],
                 caption, {name for name, _ in rows if _is_retrain(name)})


def _charts(columns, runs, names):
    """A chart per column in `names`. runs: [(method, {key: [values]})]."""
    reference = next((name for name, _ in runs if _is_retrain(name)), None)
    drawn = [runs_chart(text, [(name, values.get(key) or []) for name, values in runs], reference,
                        (0, None if key in UNBOUNDED else 100))
             for key, text, _ in columns if key in names]
    drawn = [chart for chart in drawn if chart]
    legend = "<p>Small dots: runs. Large dot: their mean, with one sample standard deviation to each side."
    if reference is not None:
        legend += " Green: the retrained model, which is the aim, with its spread."
    return '<div class="charts">%s</div>%s</p>' % ("".join(drawn), legend) if drawn else ""


def _settings(node, title):
    rows = [[path, words(text)] for path, text in flat(node.fields)]
    return section(title, table(["Name", "Value"], rows)) if rows else ""


# ---- amun.report/1 and the comparison on samples -------------------------------------------------


def _noise(samples, runs):
    """Two standard deviations of the difference of two AUCs (percent) that know nothing, with
    `samples` on each side and `runs` runs each."""
    return 2 * math.sqrt(2) * 100 / math.sqrt(6 * samples * runs)


def _reading(difference, noise):
    if abs(difference) <= noise:
        return "good", "no difference seen"
    return "warn", "still recognisable" if difference > 0 else "over-unlearned"


def _verdicts(rows, runs, samples):
    """The section that compares FT-AUCs with the retrained model's."""
    aim = next((values for name, values in rows if _is_retrain(name)), None)
    if aim is None or aim["ft_auc"][0] is None:
        return section("What the audit shows", note(
            "<b>No retrained model in this report.</b> Its figures are the only aim there is; "
            "without them "
            "none of the others can be called good or bad.", "warn"))
    body, told = [], []
    for name, values in rows:
        mean = values["ft_auc"][0]
        if _is_retrain(name) or mean is None:
            continue
        difference, noise = mean - aim["ft_auc"][0], _noise(samples, runs)
        kind, word = _reading(difference, noise)
        told.append((name, word))
        body.append([name, number(mean), number(difference), number(noise),
                     '<td class="text"><span class="tag %s">%s</span></td>' % (kind, word)])
    parts = [table(["Method", "FT-AUC", "minus retrained", "noise", "reading"], body)]
    parts.append("<p>The reading compares a method's FT-AUC with the retrained model's (%s). "
                 "<i>Noise</i> is two standard deviations of the difference of two AUCs that know "
                 "nothing, for %s forgotten samples and %s run%s. <b>No difference seen</b> says "
                 "that this many samples could not show one, not that there is "
                 "none.</p>" % (number(aim["ft_auc"][0]), number(samples), number(runs),
                                              "" if runs == 1 else "s"))
    return section("What the audit shows", _blind(rows, samples, runs), _telling(told), *parts)


def _telling(told):
    original = [word for name, word in told if _is_original(name)]
    if original and original[0] == "no difference seen":
        return note("<b>The attack does not tell even the original model from a retrained one.</b> "
                    "So it cannot show here that a method forgot anything.", "warn")
    return ""


def _blind(rows, samples, runs):
    """RMIA that recognises no members of the original model says nothing about others."""
    for name, values in rows:
        seen = values.get("rt_auc", (None,))[0]
        if _is_original(name) and seen is not None \
                and seen - 50 <= _noise(samples, runs) / math.sqrt(2):
            return note("<b>The audit is nearly blind.</b> Even of the original model it hardly "
                        "recognises members (RT-AUC %s), so an FT-AUC near 50 proves little."
                        % number(seen), "warn")
    return ""


def _per_run(methods):
    heads = [c for c in FIGURES if c[0] != "gap"]
    rows = []
    for name, runs in methods:
        for run in runs:
            seed = run.fields.get("seed")
            rows.append([name, number(seed) if isinstance(seed, int) else esc(seed)]
                        + [number(run.real(key), DIGITS.get(key, 2)) for key, _, _ in heads])
    return section("Every run", table(["Method", "Forget set"] + [(t, a) for _, t, a in heads],
                                      rows)) if rows else ""


def report(root):
    methods = root.nodes("methods")
    if not methods:
        raise ReportError("methods: empty")
    names = [m.text("name") for m in methods]
    per_run = [m.nodes("per_run") if "per_run" in m.fields else [] for m in methods]
    keys = [key for key, _, _ in FIGURES + DETAILS]
    rows = []
    for name, m in zip(names, methods):
        deviations = m.node("spread", optional=True) or Node({}, "spread")
        rows.append((name, {key: (m.real(key), deviations.real(key)) for key in keys}))
    runs = [(name, {key: [run.real(key) for run in of] or [m.real(key)] for key in keys})
            for name, m, of in zip(names, methods, per_run)]
    forgotten, counts = root.count("forget_count"), [m.count("runs") for m in methods]
    if forgotten < 1 or min(counts) < 1:
        raise ReportError("forget_count %d, runs %d: expected 1 or more" % (forgotten, min(counts)))
    lead = "%s, network %s" % (root.text("dataset"), root.text("arch"))
    return "Unlearning audit", "Audit of forgotten samples", lead, [
        cards([("Forgotten samples", number(forgotten), "per run"),
               ("Runs", number(min(counts)), "each with its own forget set" if min(counts) > 1 else None),
               ("Reference models", number(root.count("references")), "of the membership attack"),
               ("Methods", number(len(methods)), None)]),
        _verdicts(rows, min(counts), forgotten),
        section("Figures", _figures_table(FIGURES, rows, SPREAD),
                _charts(FIGURES, runs, ("ua", "ra", "ta", "ft_auc", "mis", "seconds"))),
        section("More of the membership attack", _figures_table(DETAILS, rows)),
        _per_run(list(zip(names, per_run))), _explain(FIGURES + DETAILS),
        _settings(root.node("provenance", optional=True) or Node({}, ""), "Provenance")]


def _explain(columns):
    return section("How to read the figures", terms([(text, about) for _, text, about in columns]))


# ---- amun.compare/1 ------------------------------------------------------------------------------


def _rows_of(root, columns):
    """[(name, {key: runs})]; a number instead of a list is one run."""
    told = []
    for row in root.nodes("rows"):
        values = {}
        for key, _, _ in columns:
            single = not isinstance(row.fields.get(key), list)
            values[key] = [row.real(key)] if single else row.reals(key)
        told.append((row.text("name"), values))
    if not told:
        raise ReportError("rows: empty")
    return told


def compare(root):
    forget = root.text("forget")
    if forget not in ("samples", "classes"):
        raise ReportError("forget: expected \"samples\" or \"classes\", found %.60r" % forget)
    classes = forget == "classes"
    columns = CLASS_FIGURES if classes else FIGURES
    runs = _rows_of(root, columns)
    rows = [(name, {key: summarise(of) for key, of in values.items()}) for name, values in runs]
    most = max(len(of) for _, values in runs for of in values.values())
    boxes = [("Methods", number(len(rows)), "original and retrained among them" if len(
        [name for name, _ in rows if _is_retrain(name) or _is_original(name)]) == 2 else None),
             ("Runs", number(most), None)]
    if classes:
        boxes.insert(0, ("Forgotten classes", esc(root.text("classes")), None))
        charts = ("acc_r", "acc_f", "miann_gap", "c2st", "tv", "seconds")
    else:
        boxes.append(("Reference models", number(root.count("references")), None))
        charts = ("ua", "ra", "ta", "ft_auc", "gap", "mis")
    warn = "" if any(_is_retrain(name) for name, _ in rows) else note(
        "<b>No retrained model in this report</b>, so there is no aim to compare with.", "warn")
    parts = [cards(boxes), warn,
             section("Figures", _figures_table(columns, rows, SPREAD), _charts(columns, runs, charts))]
    if classes:
        parts.append(_routing(root))
    title = "Comparison on forgotten %s" % forget
    lead = "%d methods, %d run%s" % (len(rows), most, "" if most == 1 else "s")
    parts.append(section("Made from", note("<code>%s</code>" % esc(root.text("made_from", "")))))
    return "Comparison of methods", title, lead, parts + [
        note("A rate that was found by looking at retrained models is not one that a user could "
             "have chosen: say "
             "which rows were tuned how."), _explain(columns)]


def _routing(root):
    rows = [(row.text("name"), row.reals("routing")) for row in root.nodes("rows")]
    width = max(len(shares) for _, shares in rows)
    body = [[name] + [heat_cell(v, 0, 100) for v in shares + [None] * (width - len(shares))]
            for name, shares in rows]
    return section("Where the images of the forgotten classes go", table(
        ["Percent to class"] + [str(k) for k in range(width)], body,
        "Test images of the forgotten classes. A method that forgot as retraining does sends them "
        "where the "
        "retrained models send them.", {name for name, _ in rows if _is_retrain(name)}))


# ---- the programs in examples/ -------------------------------------------------------------------


def ensemble(root):
    count = root.count("members")
    if not 1 <= count <= 1000:
        raise ReportError("members: expected 1 to 1000, found %d" % count)
    rates = [[root.real("rate_%d_%d" % (i, j), optional=False) for j in range(count)]
             for i in range(count)]
    eligible = [[root.count("eligible_%d_%d" % (i, j)) for j in range(count)] for i in range(count)]
    accuracies = [root.real("test_accuracy_%d" % i, optional=False) for i in range(count)]
    lotos = root.real("lotos")
    boxes = [("Members", number(count), root.text("arch")),
             ("Accuracy of the ensemble", number(root.real("test_accuracy")), "% of test images"),
             ("Mean T_rate", number(root.real("transfer"), 3), "between different members"),
             ("Attack's success", number(root.real("success"), 3), "on the attacked member"),
             ("White box", number(_percent(root.real("white_box_robust")), 1), "% withstand")]
    if root.real("black_box_robust") is not None:
        boxes.append(("Black box", number(_percent(root.real("black_box_robust")), 1), "% withstand"))
    heat = table(["Attacked \u2193  judged by \u2192"] + ["member %d" % j for j in range(count)],
                 [["member %d" % i] + [heat_cell(rates[i][j], 0, 1, 2) for j in range(count)]
                  for i in range(count)],
                 "T_rate: of the samples that both models get right and on which the attack on the "
                 "row's model "
                 "succeeds, the share that fools the column's model, too. On the diagonal: the "
                 "attack's success.")
    numbers = table(["Eligible samples"] + ["member %d" % j for j in range(count)],
                    [["member %d" % i] + [number(eligible[i][j]) for j in range(count)]
                     for i in range(count)])
    lead = "%s training%s, %d epochs" % (
        root.text("method"), ", LOTOS %g" % lotos if lotos else "", root.count("epochs"))
    return "Transfer of attacks", "Ensemble of %d models" % count, lead, [
        cards(boxes),
        section("How attacks transfer", heat, numbers, "<p>The lower the cells beside the "
                                                       "diagonal, the less an "
                "attack on one member tells about another. Rates from few eligible samples are "
                "coarse.</p>"),
        section("Accuracy of the members", strip_chart(
            "Test images, %", [("member %d" % i, [v], None, None, False)
                               for i, v in enumerate(accuracies) if v is not None],
            root.real("test_accuracy"), line_text="the ensemble"),
            "<p>Dashed: the ensemble.</p>"),
        _rest(root, ("rate_", "eligible_", "test_accuracy_"))]


def _percent(share):
    return None if share is None else 100 * share


def _rest(root, prefixes=(), keys=("program", "layers", "figures", "routing")):
    """Settings and single figures of a program's report, as a table."""
    left = {key: value for key, value in root.fields.items()
            if key not in keys and not any(key.startswith(p) for p in prefixes)}
    return _settings(Node(left, ""), "Settings and figures")


def spectrum(root):
    layers = root.nodes("layers")
    chart, body, open_ends = [], [], 0
    for layer in layers:
        name, values = layer.text("name"), [v for v in layer.reals("values") if v is not None]
        low, high = layer.real("sigma_lower", False), layer.real("sigma_upper", False)
        done = layer.fields.get("converged") is True
        open_ends += not done
        chart.append((name, values, None, (low, high) if None not in (low, high) else None, False))
        body.append([name, words(layer.text("kind")), esc(layer.text("in")),
                     esc(layer.text("out")), number(low, 4), number(high, 4),
                     number(layer.real("sigma_flat"), 4), esc(layer.text("bound")),
                     number(layer.count("iterations")),
                     "yes" if done else '<span class="tag warn">no</span>'])
    warn = note("<b>%d of %d layers did not converge.</b> Their bounds hold all the same, but are "
                "far apart."
                % (open_ends, len(layers)), "warn") if open_ends else ""
    return "Spectra of layers", "Norms of a network", "%s, by %s" % (
        root.text("arch", "network without a name"), root.text("method")), [
        cards([("Lipschitz bound", number(root.real("lipschitz_upper")), "certain, pixels to logits (l2)"),
               ("Estimate", number(root.real("lipschitz_estimate")), "the same from measured norms"),
               ("Layers", number(len(layers)), None)]), warn,
        section("Layers", strip_chart("Singular values, with the bounds of the largest", chart,
                                      limits=(0, None)),
                table(["Layer", "kind", "in", "out", ("at least", "certified lower bound of the norm"),
                       ("at most", "certified upper bound of the norm"),
                       ("flat", "norm of the weights as a matrix, which is not the "
                                "layer's"), "bound by",
                       "iterations", "converged"], body)),
        note("The bound of a network multiplies its layers' norms along chains and adds them up "
             "where branches meet. It is certain, and usually far above what the network really "
             "does."), _rest(root)]


def clip(root):
    target, layers = root.real("target", False), root.nodes("layers")
    rivals = [key[:-len("_at_most")] for key in root.fields
              if key.endswith("_at_most") and key[:-len("_at_most")] in root.fields]
    chart, body = [], []
    for layer in layers:
        name = layer.text("name")
        before, after, most = (layer.real(k, False) for k in ("before", "after", "at_most"))
        chart.append((name, [v for v in (before,) if v is not None], after,
                      (after, most) if None not in (after, most) else None, False))
        body.append([name, number(before, 4), number(after, 4), number(most, 4)])
    share = root.real("upper")  # of the target; null without the last step, which certifies
    if share is None:
        told = note("<b>The target is not certified</b>: clipped without the last step, which would do "
                    "that. The norms below are lower and upper bounds measured afterwards.", "warn")
    else:
        told = note("<b>%s held layer is above %s</b>: certified to be at most %s, rounding "
                    "included." % (
            "No" if share <= 1 else "A", number(target, 4),
            number(None if target is None else share * target, 6)), "good" if share <= 1 else "warn")
    parts = [cards([("Target", number(target, 3), None), ("Held layers", number(root.count("held")), None),
                    ("Changed", number(root.count("changed")), "layers"),
                    ("Weights moved by", number(root.real("moved"), 4), None)]), told,
             section("Layers", strip_chart("Norms before (pale) and after", chart, target,
                                           limits=(0, None), line_text="target"),
                     table(["Layer", "before", "after, at least", "after, at most"], body,
                           "Layers that are not held, such as batch norms with \"leave\", stay as they are."))]
    if rivals:
        parts.append(section("What other methods leave", table(
            ["Method", ("largest norm", "certified lower bound"), "at most",
             ("gap", "largest of at most / at least - 1 over the layers")],
            [[name, number(root.real(name), 4), number(root.real(name + "_at_most"), 4),
              number(root.real(name + "_gap"), 5)] for name in rivals])))
    drop = tuple(rivals)
    return "Clipping", "Layers held to a norm", "%s, batch norms: %s" % (
        root.text("method"), root.text("batchnorm")), parts + [_rest(root, drop)]


def class_audit(root):
    figures, body, inside = root.nodes("figures"), [], 0
    for row in figures:
        value, mean, deviation = (row.real(k, False) for k in ("unlearned", "null_mean", "null_sd"))
        cell = DASH_CELL
        if None not in (value, mean, deviation):
            quiet = value <= mean + 2 * deviation
            inside += quiet
            cell = '<td class="text"><span class="tag %s">%s</span></td>' % (
                ("good", "as retrained models among themselves") if quiet else ("warn", "above the null"))
        name = row.text("name")
        body.append([AUDITS.get(name, name), number(value, 4), spread(mean, deviation, 4), cell])
    routing = root.reals("routing")
    share = root.real("vote_share")
    ambiguous = note("The nearest class is ambiguous (votes %s %%): read the top gap and C2ST "
                     "instead of the "
                     "gap." % number(share, 0), "warn") if share is not None and share < 60 else ""
    return "Audit of a class", "Audit of forgotten class %d" % root.count("forget"), \
        "against %d retrained models" % root.count("retrained_models"), [
            cards([("Nearest class", number(root.count("neighbour")), "votes %s %%" % (
                "?" if share is None else "%.0f" % share)),
                ("Accepted by it", number(root.real("score")), "%, unlearned model"),
                ("Accepted by it", number(root.real("score_retrained")), "%, retrained models"),
                ("Images", number(root.count("rows")), "of the class"),
                ("Inside the null", "%d of %d" % (inside, len(figures)), "figures")]), ambiguous,
            section("Distance to retrained models", table(
                ["Figure", "unlearned", "null", "reading"], body,
                "The null is the same figure for a retrained model against the others, mean and "
                "deviation. Above: "
                "more than two deviations over its mean.")),
            section("Where the images of the class go", table(
                ["Percent to class"] + [str(k) for k in range(len(routing))],
                [["unlearned model"] + [heat_cell(v, 0, 100) for v in routing]])),
            _rest(root)]


DASH_CELL = '<td class="text">not measured</td>'


def attack(root):
    count = root.count("count")
    return "Attack", "Adversarial examples", "%s on %d images" % (root.text("method"), count), [
        cards([("Images", number(count), None),
               ("Class changed", number(root.count("flipped")), "images"),
               ("Accuracy left", number(root.real("accuracy")), "%"),
               ("Mean l2 distance", number(root.real("mean_l2"), 3), "pixels in [0, 1]"),
               ("Failed", number(root.count("failed")), "images")]),
        note("%s images could not be judged because a value was not "
             "finite." % number(root.count("failed")),
             "warn") if root.count("failed") else "", _rest(root)]


def unlearn(root):
    rows = [[text, number(root.real(before)), number(root.real(after))] for text, before, after in (
        ("forgotten samples", "forget_accuracy_before", "forget_accuracy"),
        ("test samples", "test_accuracy_before", "test_accuracy"))]
    if root.real("test_forget_accuracy") is not None:
        rows += [["test samples of the forgotten classes", number(None),
                  number(root.real("test_forget_accuracy"))],
                 ["test samples of the other classes", number(None),
                  number(root.real("test_remain_accuracy"))]]
    return "Unlearning", "A model that forgot", root.text("method"), [
        cards([("Forgotten samples", number(root.count("forget")), None),
               ("Remaining samples", number(root.count("remain")), None),
               ("Adversarial examples", number(root.count("adversarial")), None),
               ("Seconds", number(root.real("seconds"), 1), None)]),
        section("Accuracy", table(["Percent", "before", "after"], rows)),
        note("Accuracies alone do not show that anything was forgotten: an audit compares with a "
             "model that was "
             "retrained without the samples."), _rest(root)]


def _plain(kind, title, boxes):
    """A report of single figures. boxes: (label, key, digits, word below)."""
    def build(root):
        return kind, title, root.text("arch", ""), [
            cards([(label, number(root.real(key), digits) if digits is not None
                    else number(root.count(key, optional=True)), below)
                   for label, key, digits, below in boxes]), _rest(root)]
    return build


KINDS = {
    "amun.report/1": report, "amun.compare/1": compare, "ensemble": ensemble,
    "spectrum": spectrum, "clip": clip, "class_audit": class_audit, "attack": attack,
    "unlearn": unlearn,
    "train": _plain("Training", "A trained network", [
        ("Test accuracy", "test_accuracy", 2, "%"), ("Training accuracy", "train_accuracy", 2, "%"),
        ("Test loss", "test_loss", 4, None), ("Parameters", "parameters", None, None),
        ("Epochs", "epochs", None, None), ("Seconds", "seconds", 1, None)]),
    "predict": _plain("Prediction", "Predictions", [
        ("Images", "count", None, None), ("Accuracy", "accuracy", 2, "%"),
        ("Seconds", "seconds", 1, None)]),
}
