"""What amun.plots draws: the data of the artists, labels, and that pictures are not blank."""
import subprocess
import sys
import unittest

from support import amun, environment, linear

try:
    import matplotlib
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot

from amun import plots


class Case(unittest.TestCase):
    def tearDown(self):
        pyplot.close("all")

    def seen(self, drawn):
        """The figure's pixels; the picture has to have some that are not white."""
        figure = getattr(drawn, "figure", None) or drawn
        figure.canvas.draw()
        pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
        self.assertGreater((pixels != 255).any(-1).mean(), 0.01)
        return pixels

    def legend(self, ax):
        return [text.get_text() for text in ax.get_legend().get_texts()]


class Roc(Case):
    def test_points_against_counting(self):
        rng = np.random.default_rng(3)
        positives, negatives = rng.integers(0, 9, 40) + 1.0, rng.integers(0, 9, 30) * 1.0
        false, true = plots.roc_points(positives, negatives)
        wanted = [(0.0, 0.0)] + [((negatives >= t).mean(), (positives >= t).mean()) for t in
                                 sorted({*positives, *negatives}, reverse=True)]
        np.testing.assert_allclose(np.c_[false, true], wanted)
        area = np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2)
        self.assertAlmostEqual(area, amun.auc(positives, negatives), places=12)

    def test_curve(self):
        positives, negatives = [3.0, 2, 2], [1.0, 2]
        ax = plots.roc(positives, negatives, label="mine")
        guess, line = ax.get_lines()
        np.testing.assert_allclose(line.get_xydata(), np.c_[plots.roc_points(positives, negatives)])
        self.assertEqual(self.legend(ax), ["guessing", "mine, AUC 83.3 %"])
        self.assertEqual((ax.get_xlabel(), ax.get_ylabel()),
                         ("false-positive rate", "true-positive rate"))
        self.assertIs(plots.roc(negatives, positives, ax=ax), ax)
        self.assertEqual(len(ax.get_lines()), 3)  # guessing is drawn once
        self.assertEqual(self.legend(ax)[2], "AUC 16.7 %")
        self.assertNotEqual(ax.get_lines()[1].get_color(), ax.get_lines()[2].get_color())
        self.seen(ax)

    def test_logarithmic(self):
        ax = plots.roc(np.arange(50.0) + 5, np.arange(200.0), log=True)
        self.assertEqual((ax.get_xscale(), ax.get_yscale()), ("log", "log"))
        self.assertAlmostEqual(ax.get_xlim()[0], 1 / 200)
        plots.roc(np.arange(50.0), np.arange(400.0), ax=ax, log=True)
        self.assertAlmostEqual(ax.get_xlim()[0], 1 / 400)
        self.seen(ax)

    def test_refused(self):
        for wrong, word in (([], "no values"), ([1, np.nan], "value 1 is nan")):
            with self.assertRaisesRegex(ValueError, "positives: " + word):
                plots.roc(wrong, [1.0])


class Histograms(Case):
    def test_scores(self):
        groups = {"a": [0.0, 0, 1, 3], "b": [4.0]}
        ax = plots.scores(groups, bins=4)
        self.assertEqual(self.legend(ax), ["a (4)", "b (1)"])
        outlines = [patch.get_xy() for patch in ax.patches]
        self.assertEqual(len(outlines), 4)  # a filled and an outlined one each
        for outline, heights in zip(outlines[::2], ([0.5, 0.25, 0, 0.25], [0, 0, 0, 1])):
            for k, height in enumerate(heights):
                self.assertTrue(any(abs(x - k) < 1e-9 and abs(y - height) < 1e-9
                                    for x, y in outline), (k, height))
        self.assertEqual((ax.get_xlim(), ax.get_ylabel()), ((0, 4), "share of the group"))
        self.seen(ax)
        with self.assertRaisesRegex(ValueError, "groups: empty"):
            plots.scores({})
        with self.assertRaisesRegex(ValueError, "b: value 0 is inf"):
            plots.scores({"a": [1], "b": [np.inf]})

    def test_distances(self):
        records = np.zeros(4, amun.RECORD)
        records["label"], records["adversarial"] = [1, 1, 2, 2], [3, 1, -1, 0]
        records["l2"], records["linf"] = [0.5, 9, 9, 1.5], [0.25, 9, 9, 0.75]
        ax = plots.distances(records, bins=3)
        self.assertEqual(self.legend(ax), ["adversarial examples (2)"])
        self.assertEqual((ax.get_xlim(), ax.get_xlabel()),
                         ((0.5, 1.5), "distance (l2, pixels in [0, 1])"))
        self.assertEqual(plots.distances({"x": records, "y": [0.3]}, norm="linf").get_xlim(),
                         (0.25, 0.75))
        with self.assertRaisesRegex(ValueError, "norm: .*'l1'"):
            plots.distances(records, norm="l1")


class Images(Case):
    def test_grid(self):
        rng = np.random.default_rng(1)
        for channels in (1, 3):
            images = rng.random((4, channels, 5, 6))
            moved = np.clip(images + 0.1 * rng.standard_normal(images.shape), 0, 1)
            moved[1] = images[1]  # nothing to see in this one's difference
            figure = plots.adversarial(images, moved, [1, 2, 3, 4], [5, 6, 7, 8], count=3)
            axes = np.reshape(figure.axes, (3, 3))
            for i in range(3):
                shown = [np.asarray(ax.images[0].get_array()) for ax in axes[:, i]]
                np.testing.assert_allclose(shown[0], np.squeeze(images[i].transpose(1, 2, 0)))
                np.testing.assert_allclose(shown[1], np.squeeze(moved[i].transpose(1, 2, 0)))
                reach = np.abs(moved[i] - images[i]).max()
                self.assertAlmostEqual(np.abs(shown[2] - 0.5).max(), 0.5 if i != 1 else 0.0)
                self.assertEqual(axes[2, i].get_xlabel(), "%.3f" % reach)
            self.assertEqual([axes[0, 1].get_title(), axes[1, 1].get_title()], ["2", "6"])
            self.seen(figure)

    def test_refused(self):
        one = np.zeros((1, 1, 2, 2))
        for images, moved in ((one, one[0]), (np.zeros((1, 2, 2, 2)),) * 2, (one[:0], one[:0])):
            with self.assertRaises(ValueError):
                plots.adversarial(images, moved)


def dots(ax):
    """The places of what scatter() drew, call by call."""
    return [np.asarray(c.get_offsets()) for c in ax.collections
            if isinstance(c, matplotlib.collections.PathCollection)]


class Spectra(Case):
    LAYER = dict(name="conv", values=[2.0, 1.0, None], sigma_lower=2.0, sigma_upper=2.5)

    def test_report(self):
        ax = plots.spectra({"layers": [self.LAYER, dict(self.LAYER, name="fc")]}, target=1)
        np.testing.assert_allclose(dots(ax)[0], [(0, 2), (0, 1), (1, 2), (1, 1)])
        self.assertEqual([t.get_text() for t in ax.get_xticklabels()], ["conv", "fc"])
        self.assertIn([1.0, 1.0], [list(line.get_ydata()) for line in ax.get_lines()])
        bars = [c for c in ax.collections if isinstance(c, matplotlib.collections.LineCollection)]
        np.testing.assert_allclose(bars[0].get_segments()[0], [(0, 2), (0, 2.5)])
        self.assertEqual(self.legend(ax)[0], "target 1")
        self.seen(ax)

    def test_clip_report(self):
        ax = plots.spectra({"layers": [dict(name="a", before=3, after=1.0, at_most=1.1)]})
        np.testing.assert_allclose(dots(ax)[0], [(0, 1)])

    def test_handle_and_labels(self):
        spectrum = amun.Spectrum(linear(), k=3).run()
        ax = plots.spectra({"before": spectrum, "after": spectrum}, log=True)
        before, after = dots(ax)[:2]
        np.testing.assert_allclose(before[:, 1], spectrum.values(0)[0])
        np.testing.assert_allclose(before[:, 1], after[:, 1])
        self.assertLess(before[0, 0], after[0, 0])
        self.assertEqual((self.legend(ax), ax.get_yscale()), (["before", "after"], "log"))
        ax = plots.spectra({"conv": [3, 2]})  # a dict of arrays has no labels
        self.assertIsNone(ax.get_legend())
        with self.assertRaisesRegex(ValueError, "no layers"):
            plots.spectra({"layers": []})


class Matrices(Case):
    def cells(self, ax):
        return [text.get_text() for text in ax.texts]

    def test_transfer(self):
        rates = [[0.5, np.nan], [0.25, 1]]
        ax = plots.transfer(rates)
        self.assertEqual(self.cells(ax), ["0.50", "-", "0.25", "1.00"])
        np.testing.assert_allclose(np.ma.filled(ax.images[0].get_array(), np.nan), rates)
        self.assertEqual(ax.images[0].get_clim(), (0, 1))
        self.assertEqual((ax.get_xlabel(), ax.get_ylabel()), ("judged by", "attacked"))
        self.seen(ax)
        report = {"members": 2, "rate_0_0": 0.5, "rate_0_1": None, "rate_1_0": 0.25, "rate_1_1": 1}
        self.assertEqual(self.cells(plots.transfer(report, names=["a", "b"])), self.cells(ax))
        for wrong in ([[1, 2]], [], [[]]):
            with self.assertRaisesRegex(ValueError, "rates"):
                plots.transfer(wrong)
        with self.assertRaisesRegex(ValueError, "1 names for 2"):
            plots.transfer(rates, names=["a"])

    def test_routing(self):
        shares = [[90, 10.0, 0], [20, 30, 50]]
        report = {"rows": [{"name": n, "routing": r} for n, r in zip("ab", shares)]}
        for source in (shares, report):
            ax = plots.routing(source, classes=["x", "y", "z"])
            self.assertEqual(self.cells(ax), ["90", "10", "0", "20", "30", "50"])
            self.assertEqual([t.get_text() for t in ax.get_xticklabels()], ["x", "y", "z"])
        self.assertEqual([t.get_text() for t in ax.get_yticklabels()], ["a", "b"])
        ax = plots.routing({"program": "class_audit", "rows": 90, "routing": shares[0]})
        self.assertEqual([t.get_text() for t in ax.get_yticklabels()], ["unlearned"])
        self.seen(ax)


class Comparison(Case):
    RUNS = {"original": [60.0, 62], "retrain": [50.0, 54], "amun": [51.0], "none": []}

    def test_runs(self):
        ax = plots.comparison(self.RUNS, xlabel="FT-AUC")
        self.assertEqual([t.get_text() for t in ax.get_yticklabels()], list(self.RUNS))
        runs = [d for d in dots(ax) if len(d) == 2]
        np.testing.assert_allclose(runs[0], [(60, 0), (62, 0)])
        means = [line.get_xydata()[0] for line in ax.get_lines() if line.get_marker() == "o"]
        np.testing.assert_allclose(means, [(61, 0), (52, 1), (51, 2)])
        bars = [c.get_segments()[0] for c in ax.collections
                if isinstance(c, matplotlib.collections.LineCollection)]
        sd = np.sqrt(8)  # the sample deviation of 50 and 54
        np.testing.assert_allclose(bars[1], [(52 - sd, 1), (52 + sd, 1)])
        line = [x for x in ax.get_lines() if x.get_linestyle() == "--"][0]
        self.assertEqual(line.get_xdata()[0], 52)
        band = ax.patches[0].get_path().get_extents(ax.patches[0].get_patch_transform())
        self.assertAlmostEqual(band.width, 2 * sd)
        self.assertEqual(ax.get_xlabel(), "FT-AUC")
        self.seen(ax)
        without = plots.comparison(self.RUNS, reference=False)
        self.assertFalse([x for x in without.get_lines() if x.get_linestyle() == "--"])
        with self.assertRaisesRegex(ValueError, "no method 'x'"):
            plots.comparison(self.RUNS, reference="x")

    def test_reports(self):
        report = {"methods": [{"name": "a", "gap": 3.5, "per_run": [{"mis": None}, {"mis": 4.0}]}]}
        self.assertEqual(plots.runs_of(report, "mis"), {"a": [4.0]})
        self.assertEqual(plots.runs_of(report, "gap"), {"a": [3.5]})  # of means only
        rows = {"rows": [{"name": "a", "tv": [1.0, None], "ulira_auc": 50.0}, {"name": "b"}]}
        self.assertEqual(plots.runs_of(rows, "tv"), {"a": [1.0], "b": []})
        self.assertEqual(plots.runs_of(rows, "ulira_auc"), {"a": [50.0], "b": []})
        self.assertIn("%", plots.comparison(report, "mis").get_xlabel())
        for wrong, figure in ((report, "nothing"), ({"x": 1}, "mis")):
            with self.assertRaises(ValueError):
                plots.runs_of(wrong, figure)


class Lazy(unittest.TestCase):
    def test_without_matplotlib(self):
        code = ("import sys; sys.modules['matplotlib'] = None\n"
                "import amun.plots\n"
                "try:\n    amun.plots.roc([1.0], [0.0])\n"
                "except ImportError as error:\n    print(error)\n")
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                             env=environment())
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertIn("amun.plots needs matplotlib", run.stdout)

    def test_not_imported_before_a_call(self):
        code = "import sys, amun.plots; print([m for m in sys.modules if m.startswith('matplotlib')])"
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                             env=environment())
        self.assertEqual(run.stdout.strip(), "[]")


if __name__ == "__main__":
    unittest.main()
