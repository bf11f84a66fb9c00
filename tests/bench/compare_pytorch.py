#!/usr/bin/env python3
"""libamun and PyTorch on the same weights and the same images, in turns (A B A B) within one run.

  compare_pytorch.py BENCH_FOLDER [options]     BENCH_FOLDER: where bench_serve was built

PyTorch gets its best setting: channels_last, as many threads as cores, and a C library allocator
that keeps its memory. Before, between and after the two halves of each round a probe (multiply-adds
in registers, copy of memory) measures the machine itself; a round is rejected if any of its probes
is below a fraction of the best one seen. Prints the ratio PyTorch / libamun per row as min, median
and max over the accepted rounds, then JSON. With --data, weights come from a short training on
CIFAR-10 and the adversarial set is built for training images that the network gets right.

The rows powerqr...: one power iteration (arXiv 2402.16017, algorithm 1) with one vector over all
convolutions and dense layers, against the authors' formulation (two forward passes and autograd)
and, -lean, against one without autograd. -step: our weights are read anew in each iteration, as in
every step of a training; the others iterate on weights that stay. PyTorch gets the faster of its
two memory layouts.

The row search-fmn: an adversarial set in 20 steps per image (FMN) against the author's procedure; the
JSON has median and 95th-percentile distances of both.

With several --batch or --threads the rows train, infer and pgd are measured for each of them and
named after them (train@16x1: 16 images, 1 thread); the other rows take the largest of each. The rows
start and start-python: from the start of a process to its first prediction for one image, weights
from a file, of a C program and of Python with our binding, against Python with PyTorch."""
import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from compare_sides import PGD_STEPS, PowerQr, Torch
from compare_start import Starts

GIB = 1 << 30
ENVIRONMENT = {  # glibc would unmap large blocks at every free, and fault them in again
    "MALLOC_MMAP_THRESHOLD_": str(16 * GIB),
    "MALLOC_TRIM_THRESHOLD_": str(16 * GIB),
    "MALLOC_TOP_PAD_": str(256 << 20),
}
FMN_STEPS = 20
MEMORY_SEARCH_STEPS = 5  # enough for the batch to shrink from all images to one


def numbers(text):
    return [int(word) for word in text.split(",")]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench", help="folder of bench_serve")
    parser.add_argument("--arch", default="resnet18")
    parser.add_argument("--batch", type=numbers, default=[128], help="one, or several: 1,16,128")
    parser.add_argument("--threads", type=numbers, default=[os.cpu_count()], help="likewise: 1,2")
    parser.add_argument("--rounds", type=int, default=3, help="accepted ones wanted per row")
    parser.add_argument("--attempts", type=int, default=12, help="rounds per row at most")
    parser.add_argument("--repetitions", type=int, default=3, help="per half of a round")
    parser.add_argument("--fraction", type=float, default=0.85, help="of the best arithmetic probe")
    parser.add_argument("--fraction-copy", type=float, default=0.6, help="of the best copy probe")
    parser.add_argument("--gflops", type=float, default=0, help="known best of the probe")
    parser.add_argument("--gbytes", type=float, default=0, help="known best of the probe")
    parser.add_argument("--data", help="folder of CIFAR-10 in its binary format")
    parser.add_argument("--weights", help="safetensors to use")
    parser.add_argument("--fit-images", type=int, default=1024)
    parser.add_argument("--fit-epochs", type=int, default=16)
    parser.add_argument("--search-images", type=int, default=256)
    parser.add_argument("--search-batch", type=int, default=128, help="images at work at once")
    parser.add_argument("--search-rounds", type=int, default=1)
    parser.add_argument("--search-attempts", type=int, default=3)
    parser.add_argument("--rows", default="train,infer,infer-folded,pgd,pgd-folded,search,powerqr,"
                        "powerqr-autograd,powerqr-lean,powerqr-step,powerqr-step-lean,"
                        "memory-train,memory-infer,memory-pgd,memory-search,start,start-python",
                        help="also: search-fmn, train-bf16, infer-bf16, pgd-bf16, and memory- before these: both "
                             "sides in bf16")
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--memory-child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.batches, options.thread_counts = options.batch, options.threads
    options.batch, options.threads = max(options.batches), max(options.thread_counts)
    return options


# ---- the library's side ------------------------------------------------------------------------

class Server:
    """bench_serve, kept alive."""

    def __init__(self, options, precision="f32", **values):
        words = [os.path.join(options.bench, "bench_serve")]
        for key, value in {"threads": options.threads, **values}.items():
            words += [key, str(value)]
        environment = {k: v for k, v in os.environ.items() if k not in ENVIRONMENT}
        environment["AMUN_PRECISION"] = precision
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment)

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("bench_serve ended with status %s" % self.process.wait())
        return json.loads(line)

    def close(self):
        self.process.communicate("quit\n")


# ---- rounds ------------------------------------------------------------------------------------

class Gate:
    """Knows the best probe so far."""

    def __init__(self, options, prober):
        self.options, self.prober = options, prober
        self.best = {"gflops": options.gflops, "gbytes": options.gbytes}

    def probe(self):
        time.sleep(0.05)  # the other side's idle threads stop spinning
        probe = self.prober.ask("probe")["probe"]
        for key in self.best:
            self.best[key] = max(self.best[key], probe[key])
        return probe

    def passes(self, probes):
        least = {"gflops": self.options.fraction, "gbytes": self.options.fraction_copy}
        return all(p[key] >= least[key] * self.best[key] for p in probes for key in p)


def run_rounds(gate, name, ours, theirs, wanted, attempts, warm=True):
    """[{ours, theirs, probes}]; `warm`: both sides run once before."""
    if warm:
        ours(1), theirs(1)
    found = []
    while len(found) < attempts:
        probes = [gate.probe()]
        a = ours(gate.options.repetitions)
        probes.append(gate.probe())
        b = theirs(gate.options.repetitions)
        probes.append(gate.probe())
        found.append({"ours_ms": a, "theirs_ms": b, "probes": probes})
        print("%s: round %d: libamun %.1f ms, PyTorch %.1f ms%s" % (
            name, len(found), statistics.median(a), statistics.median(b),
            "" if gate.passes(probes) else " (probe failed)"), file=sys.stderr, flush=True)
        if sum(gate.passes(r["probes"]) for r in found) >= wanted:
            break
    return found


def summarise(gate, name, rounds):
    row = {"row": name, "rounds": len(rounds)}
    accepted = [r for r in rounds if gate.passes(r["probes"])]
    for key, subset in (("accepted", accepted), ("all", rounds)):
        ours = [statistics.median(r["ours_ms"]) for r in subset]
        theirs = [statistics.median(r["theirs_ms"]) for r in subset]
        ratios = [b / a for a, b in zip(ours, theirs)]
        row[key] = {"rounds": len(subset)}
        if subset:
            row[key].update(ours_ms=statistics.median(ours), theirs_ms=statistics.median(theirs),
                            ratio_min=min(ratios), ratio_median=statistics.median(ratios),
                            ratio_max=max(ratios))
    return row


def print_table(rows):
    print("%-14s %8s %12s %12s   %s" % ("row", "rounds", "libamun ms", "PyTorch ms",
                                        "ratio min / median / max"))
    for row in rows:
        for key in ("accepted", "all"):
            f = row[key]
            label = "%d of %d" % (f["rounds"], row["rounds"]) if key == "accepted" else "ungated"
            if f["rounds"] == 0:
                print("%-14s %8s   none: the probe never passed" % (row["row"], label))
            elif key == "accepted" or f["rounds"] != row["accepted"]["rounds"]:
                print("%-14s %8s %12.1f %12.1f   %.2f / %.2f / %.2f" % (
                    row["row"], label, f["ours_ms"], f["theirs_ms"], f["ratio_min"],
                    f["ratio_median"], f["ratio_max"]))


# ---- inputs ------------------------------------------------------------------------------------

def read_cifar(folder, count):
    import numpy as np
    raw = np.fromfile(os.path.join(folder, "data_batch_1.bin"), np.uint8, count * 3073)
    raw = raw.reshape(-1, 3073)
    return (raw[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / np.float32(255),
            raw[:, 0].astype(np.int64))


def prepare(options, folder):
    """Paths of weights, images and labels; the batch is of images that the network gets right, as
    far as there are any."""
    import numpy as np
    wanted = max(options.batch, options.search_images)
    paths = {key: os.path.join(folder, name) for key, name in
             (("images", "images.npy"), ("labels", "labels.npy"),
              ("weights", "weights.safetensors"))}
    if options.data is None:
        rng = np.random.default_rng(1)
        images = rng.random((wanted, 3, 32, 32), np.float32)
        labels = rng.integers(0, 10, wanted)
    else:
        images, labels = read_cifar(options.data, max(options.fit_images, wanted))
    np.save(paths["images"], images)
    np.save(paths["labels"], labels.astype(np.int64))
    extra = {"weights": options.weights} if options.weights else {}
    server = Server(options, arch=options.arch, batch=len(images), seed=1, images=paths["images"],
                    labels=paths["labels"], **extra)
    if options.data is not None and not options.weights:
        print("training for %d epochs on %d images" % (options.fit_epochs, len(images)),
              file=sys.stderr, flush=True)
        server.ask("fit", paths["images"], paths["labels"], options.fit_epochs, paths["weights"])
    else:
        server.ask("save", paths["weights"])
    out = os.path.join(folder, "logits.npy")
    server.ask("logits", out)
    server.close()
    right = np.load(out).argmax(1) == labels
    order = np.argsort(~right, kind="stable")[:wanted]
    np.save(paths["images"], images[order])
    np.save(paths["labels"], labels[order].astype(np.int64))
    return paths, images[order], labels[order].astype(np.int64), int(right.sum()), len(right)


def agreement(torch_side, server, folder):
    """How far apart the two are on this batch: logits, and images after PGD."""
    import numpy as np
    path = os.path.join(folder, "out.npy")
    result = {}
    server.ask("logits", path)
    mine, theirs = np.load(path), torch_side.infer(1)[1].numpy()
    result["logits"] = float(np.linalg.norm(mine - theirs) / np.linalg.norm(theirs))
    server.ask("pgd", 1, PGD_STEPS, path)
    mine, theirs = np.load(path), torch_side.pgd(1)[1].numpy()
    moved = np.linalg.norm(theirs - torch_side.images.numpy())
    result["pgd"] = float(np.linalg.norm(mine - theirs) / moved)
    return result


def run_search(options, name, gate, torch_side, paths, folder):
    """`name`: search, the author's procedure on both sides, or search-fmn, ours in a fixed number of
    steps against the author's."""
    import numpy as np
    count = options.search_images
    server = Server(options, arch=options.arch, batch=count, **paths)
    path = os.path.join(folder, "table.npy")
    tables = {}

    def ours(_):
        way = [FMN_STEPS, "fmn"] if name == "search-fmn" else []
        return server.ask("search", options.search_batch, path, *way)["ms"]

    def theirs(_):
        seconds, tables["theirs"] = torch_side.search(count, options.search_batch)
        return [1e3 * seconds]

    rounds = run_rounds(gate, name, ours, theirs, options.search_rounds,
                        options.search_attempts, warm=False)
    server.close()
    mine, other = np.load(path), tables["theirs"]
    facts = {"images": count}
    for name, table in (("ours", mine), ("theirs", other)):
        facts[name] = {"updates": float(table[:, 2].sum()), "found": int((table[:, 3] == 1).sum()),
                       "l2_median": float(np.median(table[:, 1])),
                       "l2_95": float(np.percentile(table[:, 1], 95)),
                       "eps_median": float(np.median(table[:, 0]))}
    facts["same_eps"] = float((mine[:, 0] == other[:, 0]).mean())
    return rounds, facts


# ---- memory ------------------------------------------------------------------------------------

def memory_child(options, work, paths):
    """A fresh process: PyTorch's peak in this work. Prints JSON."""
    work, _, bf16 = work.partition("-")
    import numpy as np
    import torch
    torch.ones(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    side = Torch(options, paths["weights"], np.load(paths["images"]), np.load(paths["labels"]))
    if work == "search":
        side.search(options.batch, options.batch, MEMORY_SEARCH_STEPS)
    else:
        getattr(side, work)(1 if bf16 else 3, bf16=bool(bf16))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"before": before, "peak": peak}))


def memory_ours(options, work, paths):
    work, _, bf16 = work.partition("-")
    server = Server(options, bf16 or "f32", arch=options.arch, batch=options.batch, **paths)
    server.ask(*{"train": ("train-here", 3), "infer": ("infer", 3),
                 "pgd": ("pgd", 3, PGD_STEPS, "-"),
                 "search": ("search", options.batch, "-", MEMORY_SEARCH_STEPS)}[work])
    memory = server.ask("memory")
    server.close()
    return memory


def run_memory(options, works, paths):
    """{work: {who: {before, peak}}}, each in a process of its own."""
    def theirs(work, tuned):
        words = [sys.executable, os.path.abspath(__file__), options.bench, "--arch", options.arch,
                 "--batch", str(options.batch), "--threads", str(options.threads),
                 "--memory-child", json.dumps([work, paths])]
        environment = {k: v for k, v in os.environ.items() if tuned or k not in ENVIRONMENT}
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, env=environment)
        return json.loads(done.stdout)
    report = {}
    for work in works:
        report[work] = {"ours": memory_ours(options, work, paths), "theirs": theirs(work, True),
                        "theirs_default_malloc": theirs(work, False)}
        print("memory:", work, report[work], file=sys.stderr, flush=True)
    return report


def spectral_rows(wanted, torch_side, server):
    if not any(name.startswith("powerqr") for name in wanted):
        return {}
    theirs, rows = PowerQr(torch_side), {}
    for name, fresh, which in (("powerqr", 0, "author"), ("powerqr-autograd", 0, "autograd"),
                               ("powerqr-lean", 0, "lean"),
                               ("powerqr-step", 1, "author"), ("powerqr-step-lean", 1, "lean")):
        if name in wanted:
            rows[name] = (lambda n, fresh=fresh: server.ask("spectrum", 5 * n, 1, fresh)["ms"],
                          lambda n, which=which: theirs.run(which, 5 * n))
    return rows


def engine_rows(wanted, torch_side, servers):
    rows = {}
    for suffix, server in (("", servers["f32"]), ("-bf16", servers["bf16"])):
        def pgd(n, server=server):
            return server.ask("pgd", n, PGD_STEPS, "-")["ms"]

        def infer(n, server=server):
            return server.ask("infer", n)["ms"]

        def train(n, server=server):
            return server.ask("train", n)["ms"]
        half = {"bf16": bool(suffix)}
        rows.update({
            "train" + suffix: (train, lambda n, half=half: torch_side.train(n, **half)[0]),
            "infer" + suffix: (infer, lambda n, half=half: torch_side.infer(n, **half)[0]),
            "pgd" + suffix: (pgd, lambda n, half=half: torch_side.pgd(n, **half)[0])})
        if not suffix:
            rows.update({"infer-folded": (infer, lambda n: torch_side.infer(n, True)[0]),
                         "pgd-folded": (pgd, lambda n: torch_side.pgd(n, True)[0])})
    return {name: rows[name] for name in rows if name in wanted}


def run_engine(options, gate, wanted, torch_side, paths):
    """Rounds of the rows that exist for each batch and each number of threads."""
    found = {}
    several = len(options.batches) * len(options.thread_counts) > 1
    for threads in options.thread_counts:
        for batch in options.batches:
            torch_side.use(batch, threads)
            servers = {precision: Server(options, precision, **{
                **paths, "arch": options.arch, "batch": batch, "threads": threads})
                for precision in ("f32", "bf16")}
            for name, (ours, theirs) in engine_rows(wanted, torch_side, servers).items():
                name += "@%dx%d" % (batch, threads) if several else ""
                found[name] = run_rounds(gate, name, ours, theirs, options.rounds,
                                         options.attempts)
            for server in servers.values():
                server.close()
    torch_side.use(options.batch, options.threads)
    return found


def run_starts(options, gate, wanted, paths):
    starts = Starts(options.bench, paths, options.arch, options.threads, ENVIRONMENT)
    return {name: run_rounds(gate, name, lambda n, side=side: starts.run(side, n),
                             lambda n: starts.run("torch", n), options.rounds, options.attempts)
            for name, side in (("start", "c"), ("start-python", "python")) if name in wanted}


def main():
    options = arguments()
    if options.memory_child:
        memory_child(options, *json.loads(options.memory_child))
        return
    if os.environ.get("AMUN_COMPARE_READY") is None:
        # the allocator reads its settings at program start
        os.execve(sys.executable, [sys.executable] + sys.argv,
                  dict(os.environ, AMUN_COMPARE_READY="1", **ENVIRONMENT))
    wanted = options.rows.split(",")
    report = {"schema": "amun.compare/1", "options": vars(options), "rows": [], "rounds": {}}
    with tempfile.TemporaryDirectory() as folder:
        prober = Server(options, arch="resnet8", batch=1)
        gate = Gate(options, prober)
        for _ in range(5):
            gate.probe()
        paths, images, labels, right, seen = prepare(options, folder)
        report["input"] = {"right": right, "of": seen,
                           "images": "CIFAR-10" if options.data else "random"}
        works = [row[7:] for row in wanted if row.startswith("memory-")]
        if works:
            report["memory"] = run_memory(options, works, paths)
        torch_side = Torch(options, paths["weights"], images, labels)
        server = Server(options, arch=options.arch, batch=options.batch, **paths)
        report["versions"] = {"torch": torch_side.torch.__version__,
                              "python": platform.python_version()}
        report["agreement"] = agreement(torch_side, server, folder)
        for name, (ours, theirs) in spectral_rows(wanted, torch_side, server).items():
            report["rounds"][name] = run_rounds(gate, name, ours, theirs, options.rounds,
                                                options.attempts)
        server.close()
        report["rounds"].update(run_engine(options, gate, wanted, torch_side, paths))
        report["rounds"].update(run_starts(options, gate, wanted, paths))
        for name in ("search", "search-fmn"):
            if name in wanted:
                report["rounds"][name], report[name] = run_search(options, name, gate, torch_side,
                                                                  paths, folder)
        prober.close()
    report["best_probe"] = gate.best
    report["rows"] = [summarise(gate, name, rounds) for name, rounds in report["rounds"].items()]
    print_table(report["rows"])
    if "memory" in report:
        for work, sides in report["memory"].items():
            for name, memory in sides.items():
                print("memory %-8s %-22s peak %5.0f MiB, of which before the network %5.0f MiB" % (
                    work, name, memory["peak"] / 2 ** 20, memory["before"] / 2 ** 20))
    text = json.dumps({k: v for k, v in report.items() if k != "rounds"})
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
    print(text)


if __name__ == "__main__":
    main()
