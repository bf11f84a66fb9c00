"""python -m amun.report: a page for every kind of report, escaped, self-contained, and clear errors."""
import contextlib
import html.parser
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from support import amun, environment

from amun import _report_kinds, _report_page, report

EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=y>\u202e\x00\ud800]]>-->"


def run(seed, shift=0.0):
    return dict(seed=seed, ua=97.0 + shift, ra=100.0, ta=96.5, ft_auc=52.0 + shift, fr_auc=55.0,
                rt_auc=60.0, ft_auc_sd=0.5, ft_tpr_1=2.0, ft_tpr_01=None, mis=None, seconds=1.5,
                nonpositive=0, references=4)


def method(name, shift=0.0, **changes):
    mean = {k: v for k, v in run(1, shift).items() if k not in ("seed", "references")}
    return {**mean, "name": name, "runs": 2, "gap": abs(shift), "spread": {"ft_auc": 1.25, "mis": None},
            "per_run": [run(1, shift), run("18446744073709551615", shift)], **changes}


def layer(name, **changes):
    return {"name": name, "kind": "conv", "batchnorm": "", "in": "1x8x8", "out": "4x8x8",
            "sigma_lower": 1.5, "sigma_upper": 1.75, "sigma_flat": None, "values": [1.5, 0.5],
            "residual": 1e-6, "bound": "section", "iterations": 20, "converged": True, **changes}


REPORTS = {
    "amun.report/1": {
        "schema": "amun.report/1", "dataset": "digits", "arch": "net", "forget_count": 90,
        "references": 4, "methods": [method("original", 12.0), method("retrain"), method("amun", 1.0),
                                     method("ascent", -20.0)],
        "provenance": {"version": "0.1.0", "build": {"compiler": "gcc 12"}, "forget_seeds": [1, 10],
                       "steps": [{"lr": 0.125}], "nothing": {}, EVIL: {EVIL: EVIL}}},
    "samples": {
        "schema": "amun.compare/1", "forget": "samples", "made_from": "digits, 2 epochs",
        "references": 4, "rows": [dict(name=n, ua=[97.5, 98.0], ra=[99.0, 99.0], ta=[96.0, 95.0],
                                       ft_auc=[50.0 + 5 * k, 51.0], gap=[0.5, 0.25], mis=[None, None],
                                       seconds=[1.0, 2.0])
                                  for k, n in enumerate(("Original", "Retrain", "amun:lr=0.05"))]},
    "classes": {
        "schema": "amun.compare/1", "forget": "classes", "classes": "1,9", "made_from": "digits",
        "rows": [dict(name=n, acc_r=[97.0], acc_f=[0.0], acc_df=[0.0], mia_kodge=[None],
                      miann_gap=[3.0], miann_top_gap=[4.0], c2st=[70.0], tv=[12.5],
                      ulira_auc=None, routing=[25.0, 0.25, 74.75], seconds=[1.0])
                 for n in ("original", "retrain", "trw")]},
    "ensemble": {
        "program": "ensemble", "arch": "digits", "method": "plain", "ensemble": "out", "members": 2,
        "lotos": 0.2, "mal": 0.8, "k": 1, "epochs": 3, "train_loss": 0.1, "train_accuracy": 99.0,
        "seconds": 2.0, "test_accuracy": 97.0, "clamp": "pixels", "eps": 0.04, "attacked": 100,
        "transfer": 0.25, "success": 0.5, "white_box_robust": 0.75, "rate_0_0": 0.5, "rate_0_1": None,
        "rate_1_0": 0.125, "rate_1_1": 0.5, "eligible_0_0": 97, "eligible_0_1": 0,
        "eligible_1_0": 40, "eligible_1_1": 95, "test_accuracy_0": 96.0, "test_accuracy_1": 95.0},
    "spectrum": {"program": "spectrum", "arch": "digits", "method": "powerqr",
                 "lipschitz_upper": 700.5, "lipschitz_estimate": 690.25,
                 "layers": [layer("conv1"), layer("fc", converged=False, sigma_upper=None)],
                 "seconds": 1.0},
    "clip": {"program": "clip", "method": "block", "batchnorm": "leave", "model": "m", "target": 2.0,
             "held": 1, "changed": 1, "rounds": 5, "largest": 0.99, "upper": 0.9999, "moved": 0.5,
             "miyato": 2.9, "miyato_at_most": 3.0, "miyato_gap": 0.03,
             "layers": [dict(name="conv1", before=4.0, after=1.99, at_most=1.9998, miyato=2.9,
                             miyato_at_most=3.0)], "seconds": 1.0},
    "class_audit": {"program": "class_audit", "forget": 1, "retrained_models": 3, "rows": 89,
                    "features": "logits", "kernel": "linear", "neighbour": 8, "vote_share": 50.0,
                    "score": 40.0, "score_retrained": 45.0, "sanity": 99.0,
                    "figures": [dict(name="tv", unlearned=0.5, null_mean=0.1, null_sd=0.02),
                                dict(name="js", unlearned=0.1, null_mean=0.1, null_sd=0.02),
                                dict(name="kl", unlearned=None, null_mean=0.1, null_sd=0.02)],
                    "routing": [10.0, 0.0, 90.0]},
    "attack": {"program": "attack", "method": "search", "adversarial": "a.npy", "count": 24,
               "flipped": 23, "failed": 1, "accuracy": 4.0, "mean_l2": 0.5, "mean_linf": 0.25,
               "mean_updates": 12.0, "seconds": 1.0},
    "unlearn": {"program": "unlearn", "method": "trw", "model": "m", "remain": 800, "forget": 100,
                "adversarial": 0, "failed": 0, "forget_accuracy_before": 99.0, "forget_accuracy": 0.0,
                "test_accuracy_before": 97.0, "test_accuracy": 87.0, "class": "1",
                "test_forget_accuracy": 0.0, "test_remain_accuracy": 96.5, "seconds": 1.0},
    "train": {"program": "train", "dataset": "digits", "arch": "digits", "model": "m",
              "parameters": 56554, "epochs": 10, "train_loss": 0.02, "train_accuracy": 100,
              "test_loss": 0.05, "test_accuracy": 99.25, "seconds": 16.5},
    "predict": {"program": "predict", "arch": "digits", "logits": "l.npy", "count": 24,
                "accuracy": None, "seconds": 0.1},
}


class Reader(html.parser.HTMLParser):
    """Elements with their attributes, and the text, of a page whose elements are all closed."""
    VOID = {"meta", "link", "img", "br", "hr"}

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.words, self.cells = [], [], [], []
        self.feed(page)
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("td", "th"):
            self.cells.append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.words.append(data)
        if self.open and {"td", "th"} & set(self.open):
            self.cells[-1] += data

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.words))


def hostile(value):
    """The report with every free text replaced."""
    if isinstance(value, dict):
        return {k: v if k in ("schema", "program") or (k == "forget" and isinstance(v, str))
                else hostile(v) for k, v in value.items()}
    if isinstance(value, list):
        return [hostile(v) for v in value]
    return EVIL if isinstance(value, str) else value


class Pages(unittest.TestCase):
    def test_every_kind_is_tried(self):
        kinds = {r.get("schema", r.get("program")) for r in REPORTS.values()}
        self.assertEqual(kinds, set(_report_kinds.KINDS))

    def test_nothing_from_elsewhere(self):
        for name, content in REPORTS.items():
            for value in (content, hostile(content)):
                with self.subTest(name):
                    page = report.render(value)
                    seen = Reader(page)
                    tags = {tag for tag, _ in seen.elements}
                    self.assertFalse(tags & {"script", "img", "link", "iframe", "object", "a", "form",
                                             "use", "image", "base"})
                    for _, attributes in seen.elements:
                        for key in attributes:
                            self.assertFalse(key.startswith("on") or key in ("src", "href"), key)
                    self.assertNotRegex(page, r"url\(|@import|https?:")
                    self.assertEqual(sum(tag == "h1" for tag, _ in seen.elements), 1)
                    self.assertEqual(page, report.render(value))  # the same bytes

    def test_hostile_texts_are_shown_not_run(self):
        for name, content in REPORTS.items():
            with self.subTest(name):
                page = report.render(hostile(content), title=EVIL, source=EVIL)
                page.encode("utf-8")  # no halves of surrogate pairs are left
                for raw in ("\u202e", "\x00", "<script", "<img"):
                    self.assertNotIn(raw, page)
                self.assertIn("<script>alert(1)</script>", Reader(page).text)
                self.assertIn("\\u202e\\u0000\\ud800", page)

    def test_numbers_arrive(self):
        content = REPORTS["amun.report/1"]
        cells = Reader(report.render(content)).cells
        for wanted in ("64.00 \u00b1\u202f1.25", "53.00 \u00b1\u202f1.25", "109.00", "1.5",
                       "18446744073709551615", "\u2013"):
            self.assertIn(wanted, cells)
        page = Reader(report.render(REPORTS["ensemble"]))
        for wanted in ("0.50", "\u2013", "0.12", "97", "40"):
            self.assertIn(wanted, page.cells)
        for wanted in ("0.250", "75.0", "plain training, LOTOS 0.2, 3 epochs"):
            self.assertIn(wanted, page.text)

    def test_verdicts(self):
        text = Reader(report.render(REPORTS["amun.report/1"])).text
        for name, word in (("original", "still recognisable"), ("amun", "no difference seen"),
                           ("ascent", "over-unlearned")):
            self.assertRegex(text, name + r"[ \d.\u2212]*" + word)
        # two standard deviations of a difference of two AUCs of 90 against 90, two runs each
        self.assertIn("%.2f" % (2 * (2 * 100**2 / (6 * 90 * 2))**0.5), text)

    def test_alone(self):
        content = json.loads(json.dumps(REPORTS["amun.report/1"]))
        content["methods"] = content["methods"][::2]
        self.assertIn("No retrained model in this report", report.render(content))
        blind = [method("original", rt_auc=51.0), method("retrain")]
        text = report.render({**content, "methods": blind})
        self.assertIn("nearly blind", text)
        self.assertIn("does not tell even the original", text)

    def test_readings_of_the_programs(self):
        text = Reader(report.render(REPORTS["clip"])).text
        self.assertIn("No held layer is above 2.0000: certified to be at most 1.999800", text)
        for upper, words in ((1.01, "A held layer is above"), (None, "not certified")):
            self.assertIn(words, report.render({**REPORTS["clip"], "upper": upper}))
        text = Reader(report.render(REPORTS["class_audit"])).text
        self.assertIn("above the null", text)
        self.assertIn("1 of 3", text)
        self.assertIn("ambiguous", text)
        self.assertIn("1 of 2 layers did not converge", report.render(REPORTS["spectrum"]))
        self.assertIn("&lt;1", report.render(REPORTS["classes"]))

    def test_hash(self):
        import hashlib
        data = json.dumps(REPORTS["train"]).encode()
        page = report.render(report.parse(data), source="t.json", data=data)
        self.assertIn(hashlib.sha256(data).hexdigest(), page)
        self.assertIn("t.json", page)


class Charts(unittest.TestCase):
    def test_places(self):
        chart = _report_page.strip_chart("t", [("a", [0.0, 10.0], 5.0, (2.5, 7.5), False)])
        x = [float(v) for v in re.findall(r'class="(?:dot|mean)" cx="([\d.]+)"', chart)]
        self.assertAlmostEqual(x[2], (x[0] + x[1]) / 2, delta=0.1)
        bar = re.search(r'class="bar" d="M([\d.]+) [\d.]+H([\d.]+)', chart)
        self.assertAlmostEqual(float(bar.group(1)), x[0] + (x[1] - x[0]) / 4, delta=0.11)
        self.assertAlmostEqual(float(bar.group(2)), x[0] + 3 * (x[1] - x[0]) / 4, delta=0.11)
        for low, high in ((0.0, 10.0), (96.1, 99.9), (-3e-7, 2e-7), (1e9, 3e9), (5.0, 5.0)):
            ticks = _report_page._axis(low, high, (None, None))
            self.assertTrue(ticks[0] <= low and ticks[-1] >= high and 2 <= len(ticks) <= 9, ticks)
        self.assertEqual(_report_page._axis(-20.0, 130.0, (0, 100))[::4], [0.0, 100.0])
        self.assertEqual(_report_page.strip_chart("t", [("a", [], None, None, False)]), "")

    def test_summary(self):
        self.assertEqual(_report_page.summarise([None, 1.0, 3.0]), (2.0, 2.0**0.5))
        self.assertEqual(_report_page.summarise([None]), (None, None))


class Errors(unittest.TestCase):
    def refused(self, words, data):
        with self.assertRaisesRegex(report.ReportError, words):
            report.render(report.parse(data if isinstance(data, bytes) else json.dumps(data).encode()))

    def test_no_report(self):
        for words, data in (
                ("not JSON: .*line 1", b"{"), ("not UTF-8 at byte 1", b"\"\xff\""),
                ("expected an object, found list", b"[]"), ("NaN", b'{"a": NaN}'),
                ("nested too deeply", b'{"a":' + b"[" * 100000 + b"]" * 100000 + b"}"),
                ("no \"schema\" and no \"program\"; known are amun.compare/1, amun.report/1", {}),
                ("schema \"amun.report/2\"; known are", {"schema": "amun.report/2"}),
                ("program 3; known", {"program": 3}), ("schema \\[", {"schema": ["x"]})):
            with self.subTest(words):
                self.refused(words, data)

    def test_fields(self):
        base = REPORTS["amun.report/1"]
        for words, changes in (
                ("methods is missing", {"methods": ...}), ("methods: empty", {"methods": []}),
                (r"methods\[0\]: expected an object", {"methods": [3]}),
                (r"methods\[0\].name is missing", {"methods": [{"ua": 1}]}),
                (r"methods\[0\].ua: expected a number, found 'x'", {"methods": [method("a", ua="x")]}),
                (r"methods\[0\].ua: expected a number, found True", {"methods": [method("a", ua=True)]}),
                ("forget_count: expected an integer", {"forget_count": 1.5}),
                ("forget_count 0", {"forget_count": 0}),
                (r"methods\[0\].ua: the number is too large", {"methods": [method("a", ua=10**400)]})):
            with self.subTest(words):
                content = {k: v for k, v in {**base, **changes}.items() if v is not ...}
                self.refused(words, content)
        self.refused("members: expected 1 to 1000, found 5000", {**REPORTS["ensemble"], "members": 5000})
        self.refused(r"rows\[0\].ua\[1\]: expected a number", {
            **REPORTS["samples"], "rows": [{"name": "a", "ua": [1, "x"]}]})

    def test_fields_of_the_wrong_type_never_break_it(self):
        """Each field of each report replaced by something else: a page or a ReportError."""
        for name, content in REPORTS.items():
            for key in content:
                for value in (None, "x", 7, -1, 1.5, [], {}, [None], [{}], True):
                    with self.subTest(name, key=key, value=value):
                        with contextlib.suppress(report.ReportError):
                            Reader(report.render({**content, key: value}))


class CommandLine(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "in.json").write_text(json.dumps(REPORTS["train"]))

    def call(self, *args):
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            try:
                status = report.main([str(a) for a in args])
            except SystemExit as stop:
                status = stop.code
        return status, err.getvalue()

    def test_writes(self):
        self.assertEqual(self.call(self.folder / "in.json"), (0, ""))
        page = (self.folder / "in.html").read_text(encoding="utf-8")
        self.assertIn("99.25", page)
        self.assertEqual(self.call(self.folder / "in.json", "-o", self.folder / "x.html", "--title",
                                   "Mine & <yours>"), (0, ""))
        self.assertIn("<h1>Mine &amp; &lt;yours&gt;</h1>", (self.folder / "x.html").read_text())
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["in.html", "in.json", "x.html"])

    def test_as_a_program(self):
        done = subprocess.run([sys.executable, "-m", "amun.report", "-"], capture_output=True,
                              input=json.dumps(REPORTS["train"]).encode(), env=environment())
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertTrue(done.stdout.startswith(b"<!DOCTYPE html>"))

    def refused(self, words, *args):
        status, err = self.call(*args)
        self.assertEqual((status, err.count("\n")), (2, 1), err)
        self.assertIn(words, err)

    def test_refused(self):
        bad = self.folder / "bad.json"
        bad.write_text("{")
        self.refused("bad.json: not JSON", bad)
        self.refused("gone.json: No such file", self.folder / "gone.json")
        self.refused("no/x.html: No such file", self.folder / "in.json", "-o", self.folder / "no/x.html")
        self.refused("Is a directory", self.folder / "in.json", "-o", self.folder)
        self.refused("Is a directory", self.folder)
        status, err = self.call(self.folder / "in.json", "-o", self.folder / "in.json")
        self.assertEqual(status, 2)
        self.assertIn("would replace the report", err)
        self.assertEqual(json.loads((self.folder / "in.json").read_text()), REPORTS["train"])

    def test_full_disk(self):
        if os.path.exists("/dev/full"):
            self.refused("No space left", self.folder / "in.json", "-o", "/dev/full")

    def test_what_the_library_writes(self):
        told = amun.Report("d<b>", "net", 5, 2)
        audit = amun.Audit(*[0] * len(amun.Audit._fields))._replace(
            ua=50.0, ra=60.0, ta=70.0, ft_auc=55.0, fr_auc=51.0, rt_auc=52.0, mis=float("nan"),
            references=2)
        for name in ("original", "retrain"):
            told.add(name, 2**63, audit, 1.0)
        path = self.folder / "r.json"
        told.write(str(path))
        self.assertEqual(self.call(path), (0, ""))
        page = (self.folder / "r.html").read_text(encoding="utf-8")
        self.assertIn("d&lt;b&gt;", page)
        self.assertIn(str(2**63), page)


if __name__ == "__main__":
    unittest.main()
