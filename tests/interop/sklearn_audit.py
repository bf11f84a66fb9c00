#!/usr/bin/env python3
"""The audits of a forgotten class against scikit-learn (discriminators, logistic regressions,
support-vector machines, areas under curves) and against plain NumPy (U-LiRA, distances, KLOM).

  sklearn_audit.py              compare; without scikit-learn its golden values are used; exit status 77
                                where NumPy or cffi is missing
  sklearn_audit.py golden FILE  write scikit-learn's values (tests/data/golden_class_audit.json)
"""
import json
import pathlib
import sys
import warnings

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bindings" / "python" / "tests"))
from support import amun, np  # noqa: E402  (leaves with 77)

GOLDEN = ROOT / "tests" / "data" / "golden_class_audit.json"
K, FORGET, EACH, RETRAINED, SHADOWS = 10, 1, 40, 3, 6
RETAINED = [j for j in range(K) if j != FORGET]
results = []


def check(good, what, detail=""):
    results.append(bool(good))
    print("%s %d - %s%s" % ("ok" if good else "not ok", len(results), what,
                            "" if good else "  # %s" % (detail,)))


def close(ours, theirs, tolerance, what):
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    error = np.nanmax(np.abs(ours - theirs)) if ours.size else 0.0
    check(ours.shape == theirs.shape and (np.isnan(ours) == np.isnan(theirs)).all()
          and error <= tolerance, what, "off by %g: %s, expected %s" % (error, ours, theirs))


# ---- outputs like those of trained networks ---------------------------------------------------------

def outputs(rest, labels, routing):
    """Logits [n, K]: confident on retained classes, with errors towards similar ones; rows of the
    forget class go where `routing` [K] says, each with its own difficulty."""
    place = np.random.RandomState(1).normal(size=(K, 3))  # similarity of classes, the same always
    place /= np.linalg.norm(place, axis=1, keepdims=True)
    similar = place @ place.T
    z = 2.0 * similar[labels] + rest.normal(size=(len(labels), K))
    own = labels != FORGET
    z[np.where(own)[0], labels[own]] += 4.0 + 2.0 * rest.normal(size=own.sum())
    z[~own] += 2.5 * routing * rest.gamma(2.0, 0.5, size=((~own).sum(), 1))
    z[:, FORGET] -= 5.0
    return z


def world(seed, models, spread):
    """`models` models on the same images: the same routing up to `spread`."""
    labels = np.repeat(np.arange(K), EACH)
    base = np.random.RandomState(2).normal(size=K)
    drawn = [np.random.RandomState(seed + m) for m in range(models)]
    return np.stack([outputs(rest, labels, base + spread * rest.normal(size=K))
                     for rest in drawn]), labels


RETRAINED_Z, LABELS = world(100, RETRAINED, 0.3)
UNLEARNED_Z = world(200, 1, 2.0)[0][0]
FORGOTTEN = LABELS == FORGET


# ---- the library's draws ----------------------------------------------------------------------------

def philox(key, counter):
    c, k = list(counter), list(key)
    for _ in range(10):
        first, second = 0xd2511f53 * c[0], 0xcd9e8d57 * c[2]
        c = [second >> 32 ^ c[1] ^ k[0], second & 0xffffffff, first >> 32 ^ c[3] ^ k[1],
             first & 0xffffffff]
        c = [c[0], c[1], c[2], c[3]]
        k = [(k[0] + 0x9e3779b9) & 0xffffffff, (k[1] + 0xbb67ae85) & 0xffffffff]
    return c


def shuffled(values, seed, epoch, sample):
    """amun__rng_shuffle() with the stream (seed, AMUN__RNG_SUBSAMPLE, epoch, sample)."""
    key = philox([seed & 0xffffffff, seed >> 32], [6, 0, 0, 0x616d756e])[:2]
    values, drawn = list(values), []

    def u32():
        at = len(drawn)
        if at % 4 == 0:
            u32.block = philox(key, [at // 4, epoch, sample, 0])
        drawn.append(at)
        return u32.block[at % 4]
    for i in range(len(values), 1, -1):
        product = u32() * i
        while product & 0xffffffff < (1 << 32) % i:
            product = u32() * i
        j = product >> 32
        values[i - 1], values[j] = values[j], values[i - 1]
    return np.array(values)


DRAW_MIANN, DRAW_C2ST, DRAW_SVCMIA = 0x10001, 0x10002, 0x10003


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def log_softmax(z):
    top = z.max(-1, keepdims=True)
    return z - top - np.log(np.exp(z - top).sum(-1, keepdims=True))


# ---- scikit-learn's side ----------------------------------------------------------------------------

def machine(kernel, width):
    from sklearn.svm import SVC, LinearSVC
    if kernel == "linear":
        return LinearSVC(C=1, class_weight="balanced", dual=False, tol=1e-12, max_iter=10**6)
    if kernel == "hinge":
        return SVC(C=1, kernel="linear", class_weight="balanced")
    return SVC(C=3, gamma=1.0 / width, class_weight="balanced")


def sklearn_miann(features, kernel, seed):
    """Acceptance rates and balanced accuracies [models + 1, K]."""
    accuracy, sanity = np.full((2, RETRAINED + 1, K), np.nan)
    halves = [shuffled(np.where(LABELS == j)[0], seed, DRAW_MIANN, j) for j in RETAINED]
    fit = np.concatenate([rows[:EACH // 2] for rows in halves])
    held = np.concatenate([rows[EACH // 2:] for rows in halves])
    for m, z in enumerate([*RETRAINED_Z, UNLEARNED_Z]):
        u = z[:, RETAINED]
        u = log_softmax(u) if features == "logprobs" else softmax(u) if features == "probs" else u
        u = (u - u[fit].mean(0)) / u[fit].std(0)
        for k, j in enumerate(RETAINED):
            x = u[:, [k]] if features == "scalar" else u
            c = machine(kernel, x.shape[1]).fit(x[fit], LABELS[fit] == j)
            accuracy[m, j] = 100 * c.predict(x[FORGOTTEN]).mean()
            said, truth = c.predict(x[held]), LABELS[held] == j
            sanity[m, j] = 50 * (said[truth].mean() + 1 - said[~truth].mean())
    return accuracy.tolist(), sanity.tolist()


def sklearn_pair(a, b, kept, folds, ridge, seed):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    order, aucs = shuffled(np.where(FORGOTTEN)[0], seed, DRAW_C2ST, 0), []
    a, b = log_softmax(a[:, kept]), log_softmax(b[:, kept])
    for fold in range(folds):
        test = np.arange(len(order)) % folds == fold
        x = np.concatenate([a[order[~test]], b[order[~test]]])
        y = np.repeat([1, 0], (~test).sum())
        mean, sd = x.mean(0), x.std(0)
        c = LogisticRegression(C=1 / ridge, tol=1e-10, max_iter=10**5).fit((x - mean) / sd, y)
        held = np.concatenate([a[order[test]], b[order[test]]])
        aucs.append(roc_auc_score(np.repeat([1, 0], test.sum()),
                                  c.decision_function((held - mean) / sd)))
    return 100 * np.mean(aucs)


def sklearn_c2st(folds, ridge, seed):
    told = []
    for kept in (list(range(K)), RETAINED):
        told.append(np.mean([sklearn_pair(UNLEARNED_Z, z, kept, folds, ridge, seed)
                             for z in RETRAINED_Z]))
        null = [sklearn_pair(RETRAINED_Z[r], RETRAINED_Z[s], kept, folds, ridge, seed)
                for r in range(RETRAINED) for s in range(r + 1, RETRAINED)]
        told += [np.mean(null), np.std(null, ddof=1)]
    return [float(v) for v in told]


def svcmia_sets():
    """remain, test, forget, forget_test of a model that half remembers."""
    z, _ = world(300, 4, 0.5)
    remain = z[0] + 1.5 * np.eye(K)[LABELS]  # training rows are surer
    own = np.where(LABELS != FORGET)[0]
    forget = z[2][FORGOTTEN] + np.array([0, 4.0])[np.arange(EACH) % 2, None] * np.eye(K)[FORGET]
    return {"remain": (remain[own], LABELS[own]), "test": (z[1][own], LABELS[own]),
            "forget": (forget, LABELS[FORGOTTEN]),
            "forget_test": (z[3][FORGOTTEN], LABELS[FORGOTTEN])}


def features(z, y):
    p = softmax(z)
    own = p[np.arange(len(y)), y]
    rest = p.copy()
    rest[np.arange(len(y)), y] = 0
    modified = -(1 - own) * np.log(own) - (rest * np.log1p(-rest)).sum(1)
    entropy = -(p * np.log(p)).sum(1)
    return own[:, None], (z.argmax(1) == y)[:, None] * 1.0, entropy[:, None], modified[:, None], p


def sklearn_svcmia(names, limit, seed, equal):
    from sklearn.svm import SVC
    sets = [svcmia_sets()[name] for name in names]
    most = min(limit, *(len(s[1]) for s in sets[:2])) if equal else limit
    for k in range(2):
        n = len(sets[k][1])
        if n > most:
            rows = np.sort(shuffled(np.arange(n), seed, DRAW_SVCMIA, k)[:most])
            sets[k] = sets[k][0][rows], sets[k][1][rows]
    told = []
    for members, others, asked in zip(*(features(*s) for s in sets)):
        c = SVC(C=3, gamma="auto").fit(np.concatenate([others, members]),
                                       np.repeat([0, 1], [len(others), len(members)]))
        told.append(float(100 * (c.predict(asked) == 0).mean()))
    return told


MIANN = [(f, k, s) for f, k, s in [("logits", "linear", 0), ("logits", "rbf", 3),
                                   ("logits", "hinge", 3), ("logprobs", "linear", 1),
                                   ("logprobs", "rbf", 1), ("probs", "linear", 2),
                                   ("probs", "rbf", 2), ("scalar", "linear", 2 ** 40 + 5),
                                   ("scalar", "rbf", 5)]]
C2ST = [(5, 1.0, 0), (4, 0.01, 9)]
SVCMIA = [(("remain", "test", "forget"), 100, 0, True), (("remain", "test", "forget"), 5000, 1, True),
          (("remain", "forget", "forget_test"), 120, 2, False)]


def by_sklearn():
    warnings.simplefilter("ignore")
    return {"miann": [sklearn_miann(*case) for case in MIANN],
            "c2st": [sklearn_c2st(*case) for case in C2ST],
            "svcmia": [sklearn_svcmia(*case) for case in SVCMIA]}


def compare(theirs, whose):
    for (kind, kernel, seed), (accuracy, sanity) in zip(MIANN, theirs["miann"]):
        try:
            told = amun.miann(RETRAINED_Z, UNLEARNED_Z, LABELS, FORGET, features=kind,
                              kernel=kernel, seed=seed)
        except amun.UnsupportedError:
            continue
        name = "MIA-NN %s %s against %s" % (kind, kernel, whose)
        close(told.accuracy, accuracy, 1e-9, name)
        close(told.discriminators, sanity, 1e-9, name + ", sanity")
        summary(told, np.array(accuracy), np.array(sanity), name)
    for (folds, ridge, seed), values in zip(C2ST, theirs["c2st"]):
        told = amun.c2st(RETRAINED_Z, UNLEARNED_Z, LABELS, FORGET, folds=folds, ridge=ridge,
                         seed=seed)
        close([told.all, told.all_null_mean, told.all_null_sd, told.retained,
               told.retained_null_mean, told.retained_null_sd], values, 0.02,
              "C2ST with %d folds against %s" % (folds, whose))
    for (names, limit, seed, equal), values in zip(SVCMIA, theirs["svcmia"]):
        sets = svcmia_sets()
        call = amun.svcmia_salun if equal else amun.svcmia_kodge
        try:
            told = call(*(part for name in names for part in sets[name]), limit=limit, seed=seed)
        except amun.UnsupportedError:
            continue
        close([told.confidence, told.correctness, told.entropy, told.modified_entropy,
               told.probabilities], values, 1e-9, "SVC-MIA %s, limit %d, against %s"
              % ("SalUn" if equal else "Kodge", limit, whose))


def summary(told, accuracy, sanity, name):
    """The figures that follow from the acceptance rates."""
    retrained, unlearned = accuracy[:-1], accuracy[-1]
    mean = retrained.mean(0)
    rn = int(np.nanargmax(mean))
    own = np.abs(retrained[:, rn] - (retrained[:, rn].sum() - retrained[:, rn]) / (RETRAINED - 1))
    top = np.argsort(-np.nan_to_num(mean, nan=-1.0))[:3]
    tops = sum(np.abs(retrained[:, j] - (retrained[:, j].sum() - retrained[:, j])
                      / (RETRAINED - 1)) for j in top)
    ties = len(set(mean[top])) < 3 or (mean == mean[top[-1]]).sum() > 1
    check(told.neighbour == rn, name + ": the neighbour", (told.neighbour, rn))
    close([told.score, told.retrained, told.gap, told.null_mean, told.null_sd, told.sanity,
           told.sanity_retrained],
          [unlearned[rn], mean[rn], abs(mean[rn] - unlearned[rn]), own.mean(), own.std(ddof=1),
           sanity[-1, rn], sanity[:-1, rn].mean()], 1e-9, name + ": figures")
    if not ties:
        close([told.top_gap, told.top_null_mean, told.top_null_sd],
              [np.abs(mean - unlearned)[top].sum(), tops.mean(), tops.std(ddof=1)], 1e-9,
              name + ": top gap")


# ---- plain NumPy --------------------------------------------------------------------------------------

def phi(z, y):
    rest = np.array([np.delete(row, c) for row, c in zip(z, y)])
    top = rest.max(1)
    return z[np.arange(len(y)), y] - top - np.log(np.exp(rest - top[:, None]).sum(1))


def log_density(v, centre, sd):
    return -np.log(sd) - 0.5 * ((v - centre) / sd) ** 2


def pairs_auc(positives, negatives):
    more = (positives[:, None] > negatives).mean()
    return more + 0.5 * (positives[:, None] == negatives).mean()


def centre_of(scores, centre):
    median = centre == "median" or centre == "auto" and len(scores) >= 8
    return np.median(scores, 0) if median else scores.mean(0)


def naive_fold(u, r, t, s, released, variance, centre, joint):
    """u, r [models, n, dims]: fit without u[t] and r[s]; (AUC, balanced accuracy, share)."""
    fit_u, fit_r = np.delete(u, t, 0), np.delete(r, s, 0)
    mu, mr = centre_of(fit_u, centre), centre_of(fit_r, centre)
    if joint:
        products = sum(np.einsum("tni,tnj->ij", d, d)
                       for d in (fit_u - fit_u.mean(0), fit_r - fit_r.mean(0)))
        n = u.shape[1]
        inverse = np.linalg.inv(products / (n * (len(fit_u) + len(fit_r) - 2)) + 1e-6 * np.eye(2))

        def ratio(v):
            far = [np.einsum("ni,ij,nj->n", v - m, inverse, v - m) for m in (mr, mu)]
            return 0.5 * (far[0] - far[1])
    else:
        if variance == "per_sample":
            sds = [f.std(0, ddof=1) for f in (fit_u, fit_r)]
        elif variance == "pooled":
            sds = [np.sqrt(f.var(0, ddof=1).mean()) for f in (fit_u, fit_r)]
        else:
            sds = [fit_u.std()] * 2
        sds = [np.maximum(sd, 1e-3) for sd in sds]

        def ratio(v):
            return (log_density(v, mu, sds[0]) - log_density(v, mr, sds[1]))[:, 0]
    mine, theirs = ratio(u[t]), ratio(r[s])
    best = (1.0, np.inf, 0.0, 0.0)
    for threshold in np.unique(np.concatenate([mine, theirs]))[::-1]:
        tpr, fpr = (mine >= threshold).mean(), (theirs >= threshold).mean()
        if abs(tpr + fpr - 1) < best[0]:
            best = (abs(tpr + fpr - 1), threshold, tpr, fpr)
    share = (ratio(released) >= best[1]).mean() if released is not None else np.nan
    return pairs_auc(mine, theirs), 0.5 * (best[2] + 1 - best[3]), share


def naive_evaluation(u, r, released, variance, centre, holdout, joint):
    places = ([(len(u) - 1, len(r) - 1)] if holdout == "last" else
              [(t % len(u), t % len(r)) for t in range(max(len(u), len(r)))])
    return 100 * np.mean([naive_fold(u, r, t, s, released, variance, centre, joint)
                          for t, s in places], 0)


def test_ulira():
    u = world(400, SHADOWS, 1.0)[0][:, FORGOTTEN]
    r = world(500, SHADOWS - 1, 0.4)[0][:, FORGOTTEN]
    released, y, rn = world(600, 1, 1.0)[0][0][FORGOTTEN], LABELS[FORGOTTEN], 7
    scores = {}
    for name, labels in (("own", y), ("neighbour", np.full_like(y, rn))):
        scores[name] = [np.stack([phi(z, labels) for z in part])[..., None]
                        for part in (u, r, released[None])]
    scores["joint"] = [np.concatenate(parts, -1)
                       for parts in zip(scores["neighbour"], scores["own"])]
    close(amun.ulira_phi(released, y), scores["own"][2][0, :, 0], 1e-12, "phi")
    cases = [("own", v, c, h) for v in ("per_sample", "pooled", "global_ref")
             for c in ("auto", "mean", "median") for h in ("each", "last")]
    cases += [("neighbour", "pooled", "auto", "each"), ("joint", "pooled", "mean", "each"),
              ("joint", "pooled", "median", "last")]
    for name, variance, centre, holdout in cases:
        a, b, one = scores[name]
        told = amun.ulira_class(u, r, y, FORGET, released, score=name, variance=variance,
                                centre=centre, holdout=holdout,
                                neighbour=-1 if name == "own" else rn)
        how = (variance, centre, holdout, name == "joint")
        null = np.array([naive_evaluation(a, np.delete(b, s, 0), b[s], *how)[2]
                         for s in range(len(b))])
        own = np.abs(null - (null.sum() - null) / (len(b) - 1))
        auc, balanced, share = naive_evaluation(a, b, one[0], *how)
        what = "U-LiRA %s %s %s %s" % (name, variance, centre, holdout)
        close([told.auc, told.balanced_accuracy, told.flagged, told.flagged_retrained, told.gap,
               told.null_mean, told.null_sd],
              [auc, balanced, share, null.mean(), abs(share - null.mean()), own.mean(),
               own.std(ddof=1)], 1e-9, what)
        if name == "own":
            again = amun.ulira_class_scores(a[..., 0], b[..., 0], one[0, :, 0], variance=variance,
                                            centre=centre, holdout=holdout)
            close(again, told, 1e-9, what + ", from scores")


def test_samples():
    rest = np.random.RandomState(3)
    models, n = 24, 300
    state = rest.randint(0, 3, (models, n)).astype(np.uint8)
    state[:6] = np.array([0, 0, 1, 1, 0, 1])[:, None]
    hardness = rest.normal(size=n)
    scores = hardness + 0.7 * (state == 1) + 5.0 * (state == 2) + rest.normal(size=state.shape)
    truth = rest.randint(0, 2, n)
    target = hardness + 0.7 * truth + rest.normal(size=n)
    for variance in ("per_sample", "pooled", "global_ref"):
        told = amun.ulira_samples(scores, state, target, truth.astype(bool), variance=variance)
        sides = []
        for s in (1, 0):
            groups = [scores[state[:, i] == s, i] for i in range(n)]
            centre = np.array([centre_of(g, "auto") for g in groups])
            squares = np.array([((g - g.mean()) ** 2).sum() for g in groups])
            freedom = np.array([len(g) - 1 for g in groups])
            sd = {"per_sample": np.sqrt(squares / freedom),
                  "pooled": np.sqrt(squares.sum() / freedom.sum()),
                  "global_ref": scores[state == 1].std()}[variance]
            sides.append(log_density(target, centre, sd))
        ratio = sides[0] - sides[1]
        u, o = ratio[truth == 1], ratio[truth == 0]

        def rate(limit):
            return max([0.0] + [(u >= t).mean() for t in ratio if (o >= t).mean() <= limit])
        close([told.auc, told.accuracy, told.tpr_1, told.tpr_01],
              [100 * v for v in (pairs_auc(u, o), ((ratio > 0) == truth).mean(), rate(0.01),
                                 rate(0.001))], 1e-9, "sample-level U-LiRA " + variance)
        close(told.p, 1 / (1 + np.exp(-ratio)), 1e-12, "its probabilities")


def divergence(p, q):
    return (p * np.log(p / q)).sum(-1)


def naive_distance(p, others):
    mean = others.mean(0)
    middle = 0.5 * (p + mean)
    return [0.5 * np.abs(p - mean).sum(-1).mean(),
            0.5 * (divergence(p, middle) + divergence(mean, middle)).mean(),
            divergence(np.maximum(mean, 1e-300), np.maximum(p, 1e-12)).mean(),
            0.5 * np.abs(p.mean(0) - mean.mean(0)).sum(),
            np.linalg.norm(p - others, axis=-1).mean()]


def test_distances():
    for classes, rows in (([FORGET], FORGOTTEN), (RETAINED, ~FORGOTTEN)):
        told = amun.distance(RETRAINED_Z, UNLEARNED_Z, LABELS, classes)
        r, u = softmax(RETRAINED_Z[:, rows]), softmax(UNLEARNED_Z[rows])
        null = np.array([naive_distance(r[m], np.delete(r, m, 0)) for m in range(RETRAINED)])
        values = naive_distance(u, r)
        for k, name in enumerate(("tv", "js", "kl", "routing_tv", "activation")):
            close([getattr(told, name + end) for end in ("", "_null", "_null_sd")],
                  [values[k], null[:, k].mean(), null[:, k].std(ddof=1)], 1e-10,
                  "%s over %d rows" % (name, rows.sum()))
        close(told.tv_rows[rows].mean(), told.tv, 1e-12, "TV of each row")
        shares = amun.routing(list(RETRAINED_Z), UNLEARNED_Z, LABELS, classes)
        counts = [np.bincount(z[rows].argmax(1), minlength=K) for z in [*RETRAINED_Z, UNLEARNED_Z]]
        close(shares, 100 * np.array(counts) / rows.sum(), 1e-9, "routing")
    a, b = softmax(UNLEARNED_Z), softmax(RETRAINED_Z[0])
    middle = 0.5 * (a + b)
    close(amun.zrf(UNLEARNED_Z, RETRAINED_Z[0]),
          1 - 0.5 * (divergence(a, middle) + divergence(b, middle)).mean(), 1e-12, "ZRF")
    rest = np.random.RandomState(4)
    u, r = rest.normal(size=(60, 50)) * 40, rest.normal(size=(50, 50)) * 60
    told, rows = amun.klom(u, r), []
    for i in range(u.shape[1]):
        x, y = (np.clip(v[:, i], -100, 100) for v in (u, r))
        bins = np.linspace(min(x.min(), y.min()), max(x.max(), y.max()), 21)
        p, q = np.histogram(x, bins)[0] / len(x), np.histogram(y, bins)[0] / len(y)
        q[q == 0] = 1e-5
        rows.append(divergence(p[p > 0], q[p > 0]))
    close(told.rows, rows, 1e-10, "KLOM")
    close([told.mean, told.p95], [np.mean(rows), np.percentile(rows, 95)], 1e-10, "its summary")


def main():
    try:
        import sklearn.metrics
        theirs = by_sklearn()
    except ImportError:
        theirs = None
    if sys.argv[1:2] == ["golden"]:
        pathlib.Path(sys.argv[2]).write_text(
            json.dumps(theirs, sort_keys=True).replace("NaN", "null") + "\n", encoding="utf-8")
        return 0
    if theirs is not None:
        compare(theirs, "scikit-learn")
        rest = np.random.RandomState(5)
        a, b = rest.randint(0, 30, 200) + 3, rest.randint(0, 30, 150)
        close(amun.auc(a, b), sklearn.metrics.roc_auc_score(
            np.repeat([1, 0], [200, 150]), np.concatenate([a, b])), 1e-12, "AUC with ties")
    compare(json.loads(GOLDEN.read_text(encoding="utf-8").replace("null", "NaN")), "golden values")
    test_ulira()
    test_samples()
    test_distances()
    print("1..%d" % len(results))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
