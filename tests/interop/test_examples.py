"""Runs every example program end to end on tiny inputs, and with bad input.

Usage: test_examples.py EXAMPLES_FOLDER DATA_FOLDER TMP_FOLDER [tools|studies]. Prints TAP. Needs nothing but
Python; .npy files are read and written here, independently of the library."""
import ast
import csv
import fcntl
import json
import math
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

EXAMPLES, DATA = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
PART = sys.argv[4] if len(sys.argv) > 4 else "all"  # two halves, side by side
FOLDER = os.path.join(os.path.abspath(sys.argv[3]), "examples_run_" + PART)
PROGRAMS = ["train", "predict", "attack", "unlearn", "audit", "class_audit", "spectrum",
            "clip", "compare", "ensemble", "noise_study", "quickstart"]
SMALL = ["--epochs", "1", "--threads", "1"]
results = []


def check(good, what, detail=""):
    results.append(bool(good))
    print("%s %d - %s" % ("ok" if good else "not ok", len(results), what), flush=True)
    if not good:
        for line in str(detail).splitlines():
            print("# " + line)


def call(name, *args):
    done = subprocess.run([os.path.join(EXAMPLES, name), *map(str, args)], cwd=FOLDER, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True)
    return done.returncode, done.stdout, done.stderr


def works(what, name, *args):
    code, out, err = call(name, *args)
    check(code == 0 and err == "" and "\r" not in out, what, (code, out, err))
    return out


def refused(what, code, part, name, *args):
    """One line on stderr that names the culprit, and this exit status."""
    found, _, err = call(name, *args)
    check(found == code and err.count("\n") == 1 and err.startswith(name + ": ") and part in err,
          "%s: %s" % (name, what), "%s, %r, wanted %d, %r" % (found, err, code, part))


def path(name):
    return os.path.join(FOLDER, name)


def load(name):
    with open(path(name), encoding="utf-8") as file:
        return json.load(file)


def content(name):
    with open(path(name), "rb") as file:
        return file.read()


def write(name, data):
    with open(path(name), "wb" if isinstance(data, bytes) else "w") as file:
        file.write(data)
    return name


def write_npy(name, code, descr, shape, values):
    head = repr({"descr": descr, "fortran_order": False, "shape": tuple(shape)})
    head += " " * (-(len(head) + 11) % 64) + "\n"
    return write(name, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode()
                 + struct.pack("<%d%s" % (len(values), code), *values))


def read_npy(name):
    """shape, list of floats"""
    data = content(name)
    assert data[:8] == b"\x93NUMPY\x01\x00"
    size = struct.unpack("<H", data[8:10])[0]
    head = ast.literal_eval(data[10:10 + size].decode())
    assert head["descr"] == "<f4" and not head["fortran_order"]
    count = math.prod(head["shape"])
    return head["shape"], list(struct.unpack("<%df" % count, data[10 + size:]))


def rows(values, width):
    return [values[i:i + width] for i in range(0, len(values), width)]


def argmax(row):
    return max(range(len(row)), key=lambda i: (row[i], -i))


def timeless(value):
    """The report without clock readings."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in ("seconds", "timings")}
    return [timeless(v) for v in value] if isinstance(value, list) else value


# ---- inputs --------------------------------------------------------------------------------------

COUNT = 24


def make_inputs():
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(FOLDER)
    with open(os.path.join(DATA, "digits-images.idx"), "rb") as file:
        pixels = file.read()[16:16 + 64 * COUNT]
    with open(os.path.join(DATA, "digits-labels.idx"), "rb") as file:
        labels = file.read()[8:8 + COUNT]
    floats = [p / 255 for p in pixels]
    shape = (COUNT, 1, 8, 8)
    write_npy("images.npy", "B", "|u1", shape, list(pixels))
    write_npy("floats.npy", "f", "<f4", shape, floats)
    write_npy("nan.npy", "f", "<f4", shape, [math.nan] + floats[1:])
    write_npy("bright.npy", "f", "<f4", shape, [1.5] + floats[1:])
    write_npy("other.npy", "B", "|u1", (COUNT, 1, 4, 16), list(pixels))
    write_npy("labels.npy", "q", "<i8", (COUNT,), list(labels))
    write_npy("few.npy", "q", "<i8", (COUNT - 1,), list(labels[:-1]))
    write_npy("wrong.npy", "q", "<i8", (COUNT,), [10] + list(labels[1:]))
    write("cut.npy", content("images.npy")[:-1])
    write("empty", b"")
    return floats, list(labels)


# ---- the programs --------------------------------------------------------------------------------

def test_help():
    for name in PROGRAMS:
        out = works(name + " --help", name, "--help")
        check(all(re.search(r"^  --%s\b" % o, out, re.M) for o in
                  ("help", "json", "seed", "threads", "data")), name + " lists what all share", out)


def test_command_line():
    for name in PROGRAMS:
        refused("unknown option", 2, "--nonsense", name, "--nonsense")
        refused("argument that is none", 2, '"word"', name, "word")
        refused("missing value", 2, "--seed needs", name, "--seed")
        refused("not a number", 2, '"1x"', name, "--seed", "1x")
        refused("out of range", 2, "1025 is outside [0, 1024]", name, "--threads=1025")
        refused("negative", 2, "-1 is outside", name, "--seed", "-1")
        refused("beyond 64 bits", 2, "is outside", name, "--seed", "9" * 30)
        refused("empty value", 2, "--json: empty", name, "--json", "")
        refused("report into no folder", 2, "no/r.json", name, "--json", "no/r.json")
    refused("empty number", 2, '""', "train", "--lr=")
    refused("NaN", 2, '"nan"', "train", "--lr", "nan")
    refused("infinite", 2, "inf is outside", "train", "--lr", "inf")
    refused("no such choice", 2, '"alexnet" is none of', "train", "--arch", "alexnet")
    refused("part of a choice", 2, '"res" is none of', "train", "--arch", "res")
    refused("no data folder", 2, "nowhere", "train", "--data", "nowhere")
    refused("folder without data", 2, "data_batch_1.bin", "train", "--data", FOLDER)
    refused("flag with a value", 2, "takes no value", "attack", "--restart=1")
    refused("required option", 2, "--model is missing", "predict", "--images", "images.npy")
    refused("odd number of references", 2, "3 is odd", "quickstart", "--references", "3")
    refused("odd number of references", 2, "3 is odd", "audit", "--references", "3", "--model",
            "images.npy")
    refused("too many to forget", 2, "900 of 900", "quickstart", "--forget-count", "900")
    refused("work folder is a file", 2, "empty", "quickstart", "--work", "empty")


def test_train():
    works("train", "train", *SMALL, "--out", "model.safetensors", "--json", "train.json",
          "--checkpoint", "train.checkpoint")
    told = load("train.json")
    check(told["program"] == "train" and told["epochs"] == 1 and told["arch"] == "digits"
          and told["parameters"] == 56554 and 50 < told["test_accuracy"] <= 100
          and told["test_accuracy_six_views"] is None, "what train tells", told)
    works("train with flips", "train", *SMALL, "--augment", "1", "--out", "flips.safetensors",
          "--json", "flips.json")
    told = load("flips.json")
    check(20 < told["test_accuracy_six_views"] <= 100
          and 20 < told["test_accuracy_mirrored"] <= 100, "accuracies of several views", told)
    works("train again", "train", *SMALL, "--out", "again.safetensors")
    check(content("model.safetensors") == content("again.safetensors"), "same bytes again")
    works("train goes on", "train", *SMALL, "--out", "again.safetensors", "--checkpoint",
          "train.checkpoint")
    check(content("model.safetensors") == content("again.safetensors"), "same from the checkpoint")
    works("train elsewhere", "train", *SMALL, "--seed", 1, "--out", "seed1.safetensors")
    check(content("model.safetensors") != content("seed1.safetensors"), "other seed, other weights")
    refused("checkpoint of other options", 1, "lr", "train", *SMALL, "--lr", "0.5", "--checkpoint",
            "train.checkpoint")
    refused("damaged checkpoint", 2, "empty", "train", *SMALL, "--checkpoint", "empty")


def predict(images):
    works("predict %s" % images, "predict", "--model", "model.safetensors", "--images", images,
          "--out", "logits.npy", "--threads", 1)
    shape, values = read_npy("logits.npy")
    check(shape == (COUNT, 10) and all(map(math.isfinite, values)), "logits of %s" % images, shape)
    return rows(values, 10)


def moved(image, by, mirrored):
    """8x8 pixels, `by` down and right from where they were sought, edges reflected."""
    at = [7 - abs(7 - abs(i + by)) for i in range(8)]
    return [image[8 * y + x] for y in at for x in (at[::-1] if mirrored else at)]


def test_views(floats):
    total = {1: [0.0] * (10 * COUNT)}
    for view, (by, mirrored) in enumerate([(b, m) for b in (0, -1, 1) for m in (False, True)], 1):
        seen = [v for image in rows(floats, 64) for v in moved(image, by, mirrored)]
        write_npy("view.npy", "f", "<f4", (COUNT, 1, 8, 8), seen)
        logits = [v for row in predict("view.npy") for v in row]
        total[view] = [t + (0.5 if by else 1) * v for t, v in
                       zip(total[max(view - 1, 1)], logits)]
    for views, weight in ((1, 1), (2, 2), (6, 4)):
        works("%d views" % views, "predict", "--model", "model.safetensors", "--images",
              "images.npy", "--views", views, "--out", "views.npy", "--threads", 1)
        far = max(abs(t / weight - v) for t, v in zip(total[views], read_npy("views.npy")[1]))
        check(far < 1e-4, "logits of %d views" % views, far)
    refused("views", 2, '"3" is none of 1|2|6', "predict", "--views", "3")


def test_predict(labels):
    bytes_, floats = predict("images.npy"), predict("floats.npy")
    close = max(abs(a - b) for r, s in zip(bytes_, floats) for a, b in zip(r, s))
    check(close < 1e-4, "bytes and floats agree", close)
    works("predict with labels", "predict", "--model", "model.safetensors", "--images",
          "images.npy", "--labels", "labels.npy", "--json", "predict.json")
    right = sum(argmax(row) == label for row, label in zip(bytes_, labels))
    told = load("predict.json")
    check(abs(told["accuracy"] - 100 * right / COUNT) < 1e-9 and right > COUNT / 2, "accuracy", told)
    model = content("model.safetensors")
    write("cut.safetensors", model[:-1])
    write("flipped.safetensors", model[:3] + bytes([model[3] ^ 0x80]) + model[4:])
    common = ["predict", "--images", "images.npy", "--model"]
    refused("no model", 2, "gone.safetensors", *common, "gone.safetensors")
    refused("cut model", 2, "cut.safetensors", *common, "cut.safetensors")
    refused("damaged model", 2, "flipped.safetensors", *common, "flipped.safetensors")
    refused("empty model", 2, "empty", *common, "empty")
    common = ["predict", "--model", "model.safetensors", "--images"]
    refused("no images", 2, "gone.npy", *common, "gone.npy")
    refused("cut images", 2, "cut.npy", *common, "cut.npy")
    refused("other shape", 1, "AMUN_ERROR_SHAPE", *common, "other.npy")
    refused("labels missing", 1, "few.npy", *common, "images.npy", "--labels", "few.npy")
    return bytes_


def test_attack(clean, floats, labels):
    bounds = {"fgsm": ("linf", 0.1), "ffgsm": ("linf", 0.1), "pgd-linf": ("linf", 0.1),
              "pgd-l2": ("l2", 0.7), "search": ("l2", 8.0)}
    common = ["attack", "--model", "model.safetensors", "--images", "images.npy", "--threads", 1]
    for method, (norm, eps) in bounds.items():
        for table in ("table.csv", "table.json"):
            works("attack %s, %s" % (method, table), *common, "--labels", "labels.npy", "--method",
                  method, "--eps", eps, "--table", table, "--json", "attack.json")
        shape, values = read_npy("adversarial.npy")
        logits = predict("adversarial.npy")
        with open(path("table.csv"), encoding="utf-8", newline="") as file:
            table = list(csv.DictReader(file))
        far = 0.0
        for i, (new, old) in enumerate(zip(rows(values, 64), rows(floats, 64))):
            moved = [abs(a - b) for a, b in zip(new, old)]
            l2, linf = math.sqrt(sum(d * d for d in moved)), max(moved)
            far = max(far, l2 if norm == "l2" else linf)
            row = table[i]
            if not (int(row["index"]) == i and int(row["label"]) == labels[i]
                    and abs(float(row["l2"]) - l2) < 1e-5 and abs(float(row["linf"]) - linf) < 1e-5
                    and int(row["predicted"]) == argmax(clean[i])
                    and int(row["adversarial"]) == argmax(logits[i])
                    and (row["outcome"] == "flipped") == (argmax(logits[i]) != labels[i])):
                check(False, "%s: row %d" % (method, i), (row, l2, linf, logits[i]))
        told = load("attack.json")
        check(shape == (COUNT, 1, 8, 8) and min(values) >= 0 and max(values) <= 1
              and 0 < far <= eps * (1 + 1e-5), "%s stays where it may" % method, far)
        check(len(table) == COUNT and told["count"] == COUNT
              and told["flipped"] == sum(r["outcome"] == "flipped" for r in table) > 0,
              "%s: table and summary" % method, told)
        check([[str(v) if k == "outcome" else float(v) for k, v in r.items()]
               for r in load("table.json")]
              == [[v if k == "outcome" else float(v) for k, v in r.items()] for r in table],
              "%s: both tables" % method)
    check(told["flipped"] == COUNT, "the search finds all", told)
    works("attack, other options", *common, "--labels", "labels.npy", "--norm", "linf", "--eps0",
          "0.01", "--growth", "1.5", "--steps", 5, "--restart", "--on-failure", "retry",
          "--batch", 7)
    for search in ("ddn", "fmn"):
        works("attack, " + search, *common, "--labels", "labels.npy", "--search", search,
              "--steps", 20, "--json", "attack.json")
        told = load("attack.json")
        check(told["search"] == search and told["flipped"] == COUNT
              and told["mean_updates"] <= 20, "%s finds all in 20 steps" % search, told)
    works("attack, pilot", *common, "--labels", "labels.npy", "--pilot", 10)
    refused("DDN in Linf", 1, "ddn knows l2 only", *common, "--labels", "labels.npy", "--search",
            "ddn", "--norm", "linf")
    refused("no such search", 2, '"cw"', *common, "--labels", "labels.npy", "--search", "cw")
    refused("no labels", 2, "--labels is missing", *common)
    refused("label out of range", 1, "10", *common, "--labels", "wrong.npy")
    refused("too few labels", 1, "few.npy", *common, "--labels", "few.npy")
    common[4] = "nan.npy"
    refused("NaN pixel", 2, "nan", *common, "--labels", "labels.npy")
    common[4] = "bright.npy"
    refused("pixel above 1", 2, "1.5", *common, "--labels", "labels.npy")
    refused("no such method", 2, '"cw"', *common, "--labels", "labels.npy", "--method", "cw")


def test_unlearn():
    common = ["unlearn", "--model", "model.safetensors", *SMALL]
    write("forget.txt", "# positions\n3 5\n\n  7 # the last\n")
    for method in ("retrain", "amun", "amun-advonly"):
        works("unlearn " + method, *common, "--method", method, "--forget", "forget.txt", "--json",
              "unlearn.json", "--out", method + ".safetensors")
        told = load("unlearn.json")
        forget = {"retrain": 0, "amun": 3, "amun-advonly": 0}[method]
        adversarial = 0 if method == "retrain" else 3
        check((told["remain"], told["forget"], told["adversarial"], told["failed"])
              == (897, forget, adversarial, 0), "what takes part in " + method, told)
    check(len({content(m + ".safetensors") for m in ("model", "retrain", "amun", "amun-advonly")})
          == 4, "four models")
    for method, remain in (("trw", True), ("delete", False)):
        works("unlearn --class " + method, *common, "--method", method, "--class", "3,5",
              "--trw-control", "ranks", "--trw-beta", 2, "--json", "unlearn.json", "--out",
              method + ".safetensors")
        told = load("unlearn.json")
        check(told["class"] == "3,5" and 0 <= told["test_remain_accuracy"] <= 100
              and told["remain"] == (900 - told["forget"] if remain else 0), "whole classes", told)
    refused("unlearn part of a class", 1, "whole classes", *common, "--method", "trw", "--forget",
            "forget.txt")
    refused("unlearn class 12", 2, "12", *common, "--method", "trw", "--class", "12")
    for out in ("kept.safetensors", "loaded.safetensors"):
        works("unlearn into " + out, *common, "--forget-count", 5, "--forget-seed", 10, "--advset",
              "advset.safetensors", "--no-remain", "--out", out, "--json", "unlearn.json")
        check(load("unlearn.json")["remain"] == 0, "nothing remains", load("unlearn.json"))
    check(content("kept.safetensors") == content("loaded.safetensors"), "set built or loaded")
    refused("set of other samples", 1, "adversarial set", *common, "--forget", "forget.txt",
            "--advset", "advset.safetensors")
    write("cut.advset", content("advset.safetensors")[:-1])
    refused("cut set", 2, "cut.advset", *common, "--forget-count", 5, "--forget-seed", 10,
            "--advset", "cut.advset")
    refused("without remaining data", 1, "remain", *common, "--method", "retrain", "--no-remain")
    for text, code, part in [("1 2 1\n", 1, "1"), ("900\n", 1, "900"), ("-1\n", 1, "-1"),
                             ("1 two\n", 2, '"two"'), ("3.5", 2, '"3.5"'), ("# none\n", 2, "no index"),
                             ("9" * 30, 2, "9999")]:
        refused("forget set %r" % text[:8], code, part, *common, "--forget", write("bad", text))
    refused("no forget set", 2, "gone.txt", *common, "--forget", "gone.txt")


def test_audit():
    args = ["--model", "model.safetensors", "--model", "amun.safetensors", "--forget",
            "forget.txt", "--references", 2, *SMALL, "--json", "audit.json"]
    out = works("audit", "audit", *args)
    told = load("audit.json")
    check(told["schema"] == "amun.report/1" and told["references"] == 2
          and told["forget_count"] == 3 and [m["name"] for m in told["methods"]]
          == ["model", "amun"], "the report", told)
    check(re.search(r"^method +UA +RA +TA +FT-AUC +MIS +seconds$", out, re.M)
          and re.search(r"^amun +\d", out, re.M), "the table", out)
    works("audit again", "audit", *args)
    check(timeless(told) == timeless(load("audit.json")), "the same from the kept references")
    refused("references of other options", 1, "reference 0", "audit", *args, "--lr", "0.5")
    refused("second model missing", 2, "gone", "audit", "--model", "model.safetensors", "--model",
            "gone")


QUICK = [*SMALL, "--references", 2, "--forget-sets", 2, "--forget-count", 10, "--unlearn-epochs", 1,
         "--unlearn-epochs-df", 1]


def test_class_audit():
    """Outputs whose answer is known: forget rows sit near other classes in chosen numbers."""
    classes, each, rest = 4, 20, random.Random(4)
    placed = [(12, 4, 0, 4), (10, 8, 0, 2), (8, 9, 0, 3), (5, 5, 0, 10)]  # class 2; the last: unlearned
    labels = [c for c in range(classes) for _ in range(each)]

    def rows(places):
        corners = [c for c in range(classes) for _ in range(places[c])]
        targets = [corners[i % each] if y == 2 else y for i, y in enumerate(labels)]
        return [9.0 * (j == c) + rest.gauss(0, 0.4) for c in targets for j in range(classes)]
    shape = (len(labels), classes)
    models = [rows(p) for p in placed]
    write_npy("z.npy", "f", "<f4", (2, *shape), models[0] + models[1])
    write_npy("z2.npy", "d", "<f8", shape, models[2])
    write_npy("u.npy", "f", "<f4", shape, models[3])
    write_npy("s.npy", "f", "<f4", (3, *shape), sum((rows(placed[3]) for _ in range(3)), []))
    write_npy("y.npy", "q", "<i8", (len(labels),), labels)
    args = ["--retrained", "z.npy", "--retrained", "z2.npy", "--unlearned", "u.npy", "--labels",
            "y.npy", "--forget", 2, "--json", "class.json"]
    out = works("class_audit", "class_audit", *args)
    told = load("class.json")
    figures = {f["name"]: f for f in told["figures"]}
    check((told["program"], told["forget"], told["retrained_models"], told["rows"],
           told["neighbour"]) == ("class_audit", 2, 3, each, 0), "what class_audit tells", told)
    check(abs(told["score"] - 25) < 1e-9 and abs(told["score_retrained"] - 50) < 1e-9
          and abs(figures["miann_gap"]["unlearned"] - 25) < 1e-9
          and abs(figures["miann_gap"]["null_mean"] - 10) < 1e-9 and told["sanity"] == 100,
          "MIA-NN by hand", told)
    check(told["routing"] == [25, 25, 0, 50] and "ulira_gap" not in figures, "routing", told)
    check(figures["tv"]["unlearned"] > figures["tv"]["null_mean"] > 0
          and re.search(r"^MIA-NN gap, points +25\.0000 +10\.0000 ", out, re.M)
          and re.search(r"^class 3 +50\.00 +15\.00$", out, re.M), "the table", out)
    works("with shadows", "class_audit", *args, "--shadows", "s.npy", "--features", "scalar",
          "--top-m", 1)
    told = load("class.json")
    figures = {f["name"]: f for f in told["figures"]}
    check(0 <= told["ulira_auc"] <= 100 and "ulira_gap" in figures
          and figures["miann_top_gap"] == dict(figures["miann_gap"], name="miann_top_gap"),
          "U-LiRA, another feature", told)
    check(0 < told["forget_quality"] <= 1 and 0 <= told["epsilon_median"] <= 50,
          "forgetting quality", told)
    refused("labels that are no whole numbers", 2, "expected i8", "class_audit", *args, "--labels",
            "u.npy")
    refused("logits that are none", 2, "y.npy", "class_audit", *args, "--unlearned", "y.npy")
    refused("two unlearned models", 2, "2 models", "class_audit", *args[:4], "--unlearned", "z.npy",
            *args[6:])
    refused("no such class", 1, "class 9", "class_audit", *args, "--forget", 9)
    refused("too few shadows", 1, "2 models", "class_audit", *args, "--shadows", "z.npy")
    write("cut.npy", content("z2.npy")[:-1])
    refused("a cut file", 2, "cut.npy", "class_audit", *args, "--retrained", "cut.npy")
    refused("no .npy file", 2, "not an .npy", "class_audit", *args, "--labels", "forget.txt")


def test_clip():
    out = works("clip", "clip", "--model", "model.safetensors", "--target", "0.9", "--compare",
                "--threads", 1, "--json", "clip.json", "--out", "clipped.safetensors")
    told = load("clip.json")
    layers = {layer["name"]: layer for layer in told["layers"]}
    held = [l for name, l in layers.items() if not name.startswith("bn") and ".bn" not in name]
    check(told["program"] == "clip" and told["method"] == "block" and told["held"] == len(held)
          and 0 < told["changed"] <= told["held"] and told["upper"] <= 1
          and 0 < told["moved"] < 1, "what clip tells", told)
    check(held and all(l["at_most"] <= 0.9 and l["after"] <= l["at_most"] for l in held)
          and any(l["before"] > 0.95 for l in held), "certified norms", told)
    check(all(abs(l["before"] - l["after"]) < 1e-4 for l in layers.values() if l not in held),
          "batch norms stay", told)
    check(all(abs(l["block"]) < 0.902 and l["delattre-2024"] < 0.901 for l in held)
          and any(l["miyato"] > 0.95 for l in held), "the methods compared", told)
    lines = out.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("layer ")]
    first = lines[starts[0]:starts[0] + len(layers) + 1]
    second = lines[starts[1]:starts[1] + len(held) + 3]
    check(len(starts) == 2 and all(line.startswith(name) for name, line in zip(layers, first[1:]))
          and second[-2].startswith("largest") and second[-1].startswith("gap")
          and all(len({len(line) for line in table}) == 1 for table in (first, second)),
          "the tables are aligned", out)
    for method in ("block", "legacy", "scale", "miyato", "gouk", "sedghi", "delattre-2024"):
        pairs = [(l[method], l[method + "_at_most"]) for l in held]
        gap = max(upper / lower - 1 for lower, upper in pairs)
        check(all(0 < lower <= upper <= 1.02 * lower for lower, upper in pairs)
              and told[method] == max(lower for lower, _ in pairs)
              and told[method + "_at_most"] == max(upper for _, upper in pairs)
              and abs(told[method + "_gap"] - gap) < 1e-12, "certified pairs of " + method, told)
    works("its weights", "clip", "--model", "clipped.safetensors", "--target", "0.9", "--json",
          "clip.json", "--no-final")
    check(load("clip.json")["changed"] == 0 and load("clip.json")["upper"] is None, "once is enough",
          load("clip.json"))
    for how in ("hard", "soft", "gouk", "composite"):
        works("clip, " + how, "clip", "--model", "model.safetensors", "--batchnorm", how, "--json",
              "clip.json")
        check(load("clip.json")["upper"] <= 1, how, load("clip.json"))
    works("train --clip", "train", *SMALL, "--clip", 1, "--out", "held.safetensors")
    works("unlearn --clip", "unlearn", "--model", "held.safetensors", "--method", "retrain",
          "--forget-count", 9, "--clip", 1, "--out", "held2.safetensors", *SMALL)
    check(content("held2.safetensors") != content("held.safetensors"), "it trained")
    refused("no model", 2, "--model", "clip")
    refused("no such method", 2, '"svd" is none of', "clip", "--method", "svd", "--model",
            "model.safetensors")
    refused("target", 2, "0 is outside", "clip", "--target", 0, "--model", "model.safetensors")
    refused("composite by gouk", 1, "composite", "clip", "--method", "gouk", "--batchnorm",
            "composite", "--model", "model.safetensors")
    refused("not a model", 2, "empty", "clip", "--model", "empty")


def test_noise_study():
    out = works("noise_study", "noise_study", *SMALL, "--class", 3, "--retrained", 2, "--draws", 2,
                "--trw-epochs", 1, "--trw-batch", 256, "--json", "noise.json")
    told = load("noise.json")
    rows = {row["scores"]: row for row in told["rows"]}
    check(told["program"] == "noise_study" and told["forget"] == 3 and list(rows) == [
        "as they are", "noise 0.25", "noise 0.5", "noise 1", "noise 2", "permuted", "reversed",
        "uniform", "ranks"], "the scores it tries", told)
    check(all(len(row[f]) == (2 if name.startswith(("noise", "perm")) else 1)
              and all(0 <= v <= 100 for v in row[f])
              for name, row in rows.items() for f in ("miann_gap", "tv", "acc_r", "acc_f")),
          "their figures", told)
    check(rows["noise 0.5"]["tv"][0] != rows["noise 0.5"]["tv"][1] != rows["as they are"]["tv"][0],
          "each draw is another", told)
    mean = sum(rows["noise 0.5"]["miann_gap"]) / 2
    check(told["passed"] == (mean <= 1.5 * rows["as they are"]["miann_gap"][0])
          and out.rstrip().endswith(": passed" if told["passed"] else ": not passed"),
          "the verdict", (told, out))
    refused("no such class", 2, "class 12", "noise_study", *SMALL, "--class", 12)


TRAINED = re.compile(r"loss \d|no training")  # how a method's line ends


def test_compare():
    base = ["compare", *SMALL, "--work", "compare_work", "--seeds", 1, "--retrained", 2]
    methods = "finetune:epochs=1:lr=0.05,trw:epochs=1:beta=2,gradient_ascent:epochs=1"
    args = [*base, "--class", 3, "--methods", methods, "--json", "compare.json"]
    works("compare on a class", *args)
    told = load("compare.json")
    names = [row["name"] for row in told["rows"]]
    check(told["schema"] == "amun.compare/1" and told["forget"] == "classes"
          and names == ["original", "retrain", *methods.split(",")], "its rows", told)
    figures = ("acc_r", "acc_f", "acc_df", "miann_gap", "miann_top_gap", "c2st", "tv", "probe_f",
               "probe_auc", "prototype_f", "prototype_acc_r", "loss_attack")
    runs = {row["name"]: 2 if row["name"] == "retrain" else 1 for row in told["rows"]}
    check(all(len(row[f]) == runs[row["name"]] and all(0 <= v <= 300 for v in row[f])
              for row in told["rows"] for f in figures), "its figures", told)
    # the share that stays with class 3 is the accuracy on its test images
    check(all(abs(sum(row["routing"]) - 100) < 1e-9
              and abs(row["routing"][3] - sum(row["acc_f"]) / len(row["acc_f"])) < 1e-9
              for row in told["rows"]), "where the class goes", told)
    check(told["rows"][1]["acc_f"] == [0, 0], "retrained models never say 3", told)
    out = works("compare once more", *args[:-1], "compare2.json")
    check(timeless(load("compare2.json")) == timeless(told) and not TRAINED.search(out),
          "from the work folder, the same figures", out)
    out = works("compare with one more", *base, "--class", 3, "--methods", methods + ",svd",
                "--json", "compare2.json")
    check(len(TRAINED.findall(out)) == 1 and timeless(load("compare2.json")["rows"][:5])
          == timeless(told["rows"]), "a new method costs only itself", out)
    works("compare on samples", *base, "--methods", "finetune:epochs=1,amun:epochs=1:mask_ratio=0.5",
          "--references", 2, "--forget-count", 20, "--json", "compare.json")
    told = load("compare.json")
    gold = told["rows"][1]
    check(told["forget"] == "samples" and all(
        abs(row["gap"][0] - sum(abs(row[f][0] - gold[f][0]) for f in ("ua", "ra", "ta", "ft_auc"))
            / 4) < 1e-9 for row in told["rows"]), "the average gap", told)
    refused("no such method", 2, '"magic" is none of', *base, "--methods", "magic")
    refused("no such option", 2, 'no option "speed"', *base, "--methods", "finetune:speed=1")
    refused("no number", 2, '"fast"', *base, "--methods", "finetune:lr=fast")
    refused("retrain twice", 2, "retrain", *base, "--methods", "retrain")
    refused("steps of a constant rate", 2, "add schedule=2", *base, "--methods",
            "finetune:step_epochs=1")
    refused("decay of a constant rate", 2, "gamma is for steps", *base, "--methods",
            "salun:epochs=1:gamma=0.5")
    refused("no such class", 2, '"10" is no class', *base, "--class", "10")
    refused("beta", 1, "beta", *base, "--class", 3, "--methods", "trw:beta=-1")


def test_spectrum():
    """On one layer that is known: a dense layer's norm is that of its weights."""
    out = works("spectrum", "spectrum", "--model", "model.safetensors", "--tol", "1e-4", "--k", 2,
                "--threads", 1, "--json", "spectrum.json")
    told = load("spectrum.json")
    layers = {layer["name"]: layer for layer in told["layers"]}
    check(told["program"] == "spectrum" and told["arch"] == "digits" and len(layers) > 3
          and all(0 < l["sigma_lower"] <= l["sigma_upper"] and l["converged"]
                  and len(l["values"]) == 2 and l["values"][0] == l["sigma_lower"]
                  for l in layers.values()), "what spectrum tells", told)
    fc = [l for l in layers.values() if l["kind"] == "linear"][-1]
    check(fc["bound"] == "exact" and abs(fc["sigma_flat"] - fc["sigma_lower"]) < 1e-4, "fc", fc)
    check(0 < told["lipschitz_estimate"] <= told["lipschitz_upper"], "bounds", told)
    lines = out.splitlines()
    table = lines[[l.startswith("layer ") for l in lines].index(True):]
    check(all(name in out for name in layers) and len(table) == len(layers) + 2
          and len({line.rfind(line.split()[-1]) for line in table[:-1]
                   if " " not in line.split("  ")[-1]}) == 1, "the table is aligned", out)
    works("spectrum, folded", "spectrum", "--arch", "digits", "--fold-batchnorm", "--tol", "1e-4",
          "--json", "spectrum.json")
    kinds = {layer["kind"] for layer in load("spectrum.json")["layers"]}
    check("bn" not in kinds and "conv+bn" in kinds, "nothing but folded layers", kinds)
    for method in ("legacy", "exact"):
        works("spectrum, " + method, "spectrum", "--arch", "digits", "--method", method)
    refused("neither", 2, "--model or --arch", "spectrum")
    refused("both", 2, "--model or --arch", "spectrum", "--arch", "digits", "--model",
            "model.safetensors")
    refused("no such method", 2, '"svd" is none of', "spectrum", "--method", "svd")
    refused("k", 2, "65 is outside", "spectrum", "--k", 65)
    refused("not a model", 2, "empty", "spectrum", "--model", "empty")
    refused("too large for all values", 1, "4096", "spectrum", "--arch", "resnet8", "--method",
            "exact")
    refused("no convergence", 1, "did not converge", "spectrum", "--arch", "digits",
            "--max-iterations", 1, "--json", "spectrum.json")
    check(not load("spectrum.json")["layers"][0]["converged"], "written nevertheless")


def test_ensemble():
    few = [*SMALL, "--members", 2, "--limit", 30, "--attack-steps", 3, "--eps", 0.1]
    works("ensemble to attack from", "ensemble", *few, "--seed", 7, "--out", "surrogates")
    out = works("ensemble with LOTOS", "ensemble", *few, "--lotos", 0.5, "--mal", 0.2, "--k", 2,
                "--surrogates", "surrogates", "--out", "pair", "--json", "pair.json")
    told = load("pair.json")
    check(sorted(os.listdir(path("pair"))) == ["ensemble.json", "member-000.safetensors",
                                               "member-001.safetensors"], "both members are kept")
    check((told["members"], told["clamp"], told["attacked"], told["lotos"], told["k"])
          == (2, "pixels", 30, 0.5, 2), "the report", told)
    rates = [told["rate_%d_%d" % pair] for pair in ((0, 1), (1, 0))]
    counts = [told["eligible_%d_%d" % pair] for pair in ((0, 1), (1, 0))]
    there = [rate for rate, count in zip(rates, counts) if count]
    check(all(0 <= rate <= 1 for rate in there)
          and (not there or abs(sum(there) / len(there) - told["transfer"]) < 1e-12),
          "T_rate is the mean of the rates", told)
    check(0 <= told["black_box_robust"] <= 1 and "black-box from surrogates" in out
          and "in pixels" in out, "what was measured is printed", out)
    once = content("pair/member-000.safetensors")
    works("the same again", "ensemble", *few, "--lotos", 0.5, "--mal", 0.2, "--k", 2, "--out",
          "again")
    check(content("again/member-000.safetensors") == once, "gives the same weights")
    for method in ("pgd-at", "trades", "adp"):
        works("ensemble with " + method, "ensemble", *few, "--method", method, "--out", "other")
    code, _, err = call("ensemble", *few, "--png", "grid.png", "--out", "other")
    if code == 2:
        check("--png: this build has no libpng" in err, "no picture without libpng", err)
    else:
        data = content("grid.png")
        width, height = struct.unpack(">II", data[16:24])
        check(code == 0 and data[:8] == b"\x89PNG\r\n\x1a\n" and (width, height)
              == (4 + 3 * 68, 4 + 6 * 68), "a picture of three columns and six rows",
              (code, err, width, height))
    refused("one member for LOTOS", 1, "LOTOS needs 2 members", "ensemble", *SMALL, "--members", 1,
            "--lotos", 1)
    refused("no member", 2, "0 is outside", "ensemble", "--members", 0)
    refused("unknown method", 2, "--method", "ensemble", "--method", "magic")
    refused("no surrogates there", 2, "nowhere", "ensemble", *few, "--surrogates", "nowhere",
            "--out", "other")


def study(*args):
    """The script beside the program, in a work folder of its own."""
    script = os.path.join(DATA, os.pardir, "ensemble_study.py")
    command = [sys.executable, "-B", script, "--program", os.path.join(EXAMPLES, "ensemble"),
               "--seeds", "2", "--limit", "20", "--attack-steps", "2", *args]
    done = subprocess.run(command, cwd=FOLDER, text=True, stdin=subprocess.DEVNULL,
                          capture_output=True)
    return done.returncode, done.stdout, done.stderr


def test_ensemble_study():
    short = ["--epochs", "1", "--work", "study", "--markdown", "study.md"]
    code, out, err = study(*short, "--methods", "plain,lotos")
    check(code == 0 and err == "", "the study of ensembles", (out, err))
    lines = content("study.md").decode().splitlines()
    check([line.split(" | ")[0] for line in lines[2:]] == ["| plain", "| lotos"]
          and all(line.split(" | ")[1] == "2" for line in lines[2:]), "a row for each method", lines)
    told = [load("study/lotos-%d.json" % seed) for seed in (1, 2)]
    mean = sum(100 * t["white_box_robust"] for t in told) / 2
    check("%.1f ±" % mean in lines[3].split(" | ")[7], "with the mean over the seeds", lines)
    check(load("study/plain-1.json")["ensemble"] == "study/plain-1"
          and "black-box from study/plain-2" in out, "black-box attacks come from the next seed")
    os.remove(path("study/lotos-2.json"))
    code, again, _ = study(*short, "--methods", "plain,lotos")
    check(code == 0 and again.count("\n+ ") + again.startswith("+ ") == 1
          and content("study.md").decode().splitlines() == lines, "only what is missing runs again",
          again)
    code, _, err = study("--work", "study", "--methods", "magic")
    check(code == 2 and "magic" in err, "an unknown method is named", err)


def test_quickstart():
    out = works("quickstart", "quickstart", *QUICK, "--work", "a/b", "--json", "a.json")
    told = load("a.json")
    check(told["schema"] == "amun.report/1" and told["dataset"] == "digits"
          and told["arch"] == "digits" and told["forget_count"] == 10 and told["references"] == 2
          and told["provenance"]["forget_seeds"] == [1, 10], "the report", told)
    check([m["name"] for m in told["methods"]] == ["original", "retrain", "amun", "amun_df"]
          and all(isinstance(m[k], float) and 0 <= m[k] <= 100 for m in told["methods"]
                  for k in ("ua", "ra", "ta", "ft_auc"))
          and all(m["seconds"] > 0 and len(m["per_run"]) == 2 for m in told["methods"]),
          "its methods", told["methods"])
    check(re.search(r"^method +UA +RA +TA +FT-AUC +MIS +seconds$", out, re.M), "the table", out)
    works("quickstart again", "quickstart", *QUICK, "--work", "a/b", "--json", "b.json")
    check(timeless(told) == timeless(load("b.json")), "the same from the work folder")
    check([m["seconds"] for m in told["methods"]] == [m["seconds"] for m in load("b.json")["methods"]]
          or all(abs(m["seconds"] - n["seconds"]) < 2e-3 for m, n in
                 zip(told["methods"], load("b.json")["methods"])), "times are kept too")
    works("quickstart, other rate", "quickstart", *QUICK, "--work", "a/b", "--json", "c.json",
          "--unlearn-lr", "0.05")
    other = timeless(load("c.json"))["methods"]
    check(other[:2] == timeless(told)["methods"][:2] and other[2] != timeless(told)["methods"][2],
          "only what depends on it changes")
    with open(path("a/b/lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused("work folder in use", 2, "another run", "quickstart", *QUICK, "--work", "a/b")
    write("a/b/" + [n for n in os.listdir(path("a/b")) if n.startswith("amun-")
                    and n.endswith(".safetensors")][0], b"x")
    code, _, err = call("quickstart", *QUICK, "--work", "a/b")
    code2, _, err2 = call("quickstart", *QUICK, "--work", "a/b", "--unlearn-lr", "0.05")
    check(sorted([code, code2]) == [0, 2] and (err + err2).count("\n") == 1,
          "a damaged file is not used", (code, err, code2, err2))
    return told


def test_killed(told):
    """Killed again and again after ever longer times, it ends with the same report."""
    rest = random.Random(1)
    kills = 0
    for attempt in range(60):
        run = subprocess.Popen([os.path.join(EXAMPLES, "quickstart"), *map(str, QUICK), "--work",
                                "killed", "--json", "killed.json"], cwd=FOLDER,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
        limit = (0.2 + 0.1 * attempt) * (1 + rest.random())
        try:
            err = run.communicate(timeout=limit)[1]
            check(run.returncode == 0, "killed %d times, then done" % kills, err)
            break
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            run.communicate()
            kills += 1
    check(kills > 0 and os.path.exists(path("killed.json"))
          and timeless(told) == timeless(load("killed.json")), "the same report in the end", kills)


def test_minimal():
    images, labels = (os.path.join(DATA, "digits-%s.idx" % n) for n in ("images", "labels"))
    out = works("minimal", "minimal", images, labels)
    told = re.fullmatch(r"loss: forgotten (\S+) \(was (\S+)\), never seen (\S+)\n", out)
    check(told and float(told[1]) > 2 * float(told[2]), "minimal forgets", out)
    for args in ([], [images], [labels, images], ["empty", labels]):
        code, out, err = call("minimal", *args)
        check(code == 2 and err.count("\n") == 1 and len(err) > 1 and out == "",
              "minimal refuses %d files" % len(args), (code, out, err))


def test_cifar():
    """Made-up images in CIFAR-10's layout."""
    rest = random.Random(0)
    os.makedirs(path("cifar"))
    for name in ["data_batch_%d.bin" % i for i in range(1, 6)] + ["test_batch.bin"]:
        write("cifar/" + name, b"".join(bytes([i % 10]) + rest.randbytes(3072) for i in range(20)))
    works("train on CIFAR-10", "train", *SMALL, "--data", "cifar", "--arch", "simple_conv", "--out",
          "cifar.safetensors", "--json", "cifar.json")
    check(load("cifar.json")["dataset"] == "cifar10", "what it tells", load("cifar.json"))
    works("quickstart on CIFAR-10", "quickstart", *QUICK, "--data", "cifar", "--arch", "resnet8",
          "--forget-sets", 1, "--work", "cifar.work", "--json", "cifar.json")
    told = load("cifar.json")
    check((told["dataset"], told["arch"], len(told["methods"])) == ("cifar10", "resnet8", 4),
          "the report", told)
    write("cifar/data_batch_3.bin", content("cifar/data_batch_3.bin")[:-1])
    refused("cut batch", 2, "data_batch_3.bin", "train", *SMALL, "--data", "cifar")


def main():
    floats, labels = make_inputs()
    began = time.monotonic()
    test_train()
    if PART != "studies":
        test_help()
        test_command_line()
        clean = test_predict(labels)
        test_views(floats)
        test_attack(clean, floats, labels)
        test_unlearn()
        test_audit()
        test_class_audit()
        test_spectrum()
        test_minimal()
    if PART != "tools":
        test_clip()
        test_compare()
        test_noise_study()
        test_ensemble()
        test_ensemble_study()
        told = test_quickstart()
        test_killed(told)
        test_cifar()
    print("# %.1f s" % (time.monotonic() - began))
    print("1..%d" % len(results))
    shutil.rmtree(FOLDER, ignore_errors=True)
    return 0 if all(results) else 1


sys.exit(main())
