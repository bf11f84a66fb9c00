"""For compare_pytorch.py: from the start of a process to its first prediction, batch 1, weights from
a file. Three sides: a C program (bench_start), Python with our binding, Python with PyTorch. As a
program: compare_start.py amun|torch WEIGHTS IMAGES ARCH THREADS"""
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def child_amun(weights, images, threads):
    sys.path.insert(0, os.path.join(HERE, "..", "..", "bindings", "python", "src"))
    import numpy as np
    import amun
    model = amun.Model.load(weights, amun.Context(threads=threads))
    return model.predict(np.load(images)[:1])


def child_torch(weights, images, arch, threads):
    import numpy as np
    import torch
    from compare_sides import network
    torch.set_num_threads(threads)
    pixels = np.load(images)[:1]
    net = network(arch, weights, pixels.shape)
    with torch.no_grad():
        return net.eval()(torch.from_numpy(pixels)).numpy()


def clock(words, environment):
    """Milliseconds until the program has printed the class that it sees; and that class."""
    began = time.perf_counter()
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        line = process.stdout.readline()
        spent = 1e3 * (time.perf_counter() - began)
    if process.returncode != 0:
        raise SystemExit("%s ended with status %d" % (" ".join(words), process.returncode))
    return spent, int(line)


class Starts:
    """The three sides. What they saw must be the same class, or there is no row."""

    def __init__(self, bench, paths, arch, threads, allocator):
        end = [paths["weights"], paths["images"]]
        script = [sys.executable, "-B", os.path.abspath(__file__)]
        library = os.path.join(bench, "..", "..", "lib", "libamun.so")
        plain = {k: v for k, v in os.environ.items() if k not in allocator}
        self.sides = {
            "c": ([os.path.join(bench, "bench_start")] + end + [str(threads)], plain),
            "python": (script + ["amun"] + end + [arch, str(threads)],
                       dict(plain, AMUN_LIBRARY=os.path.abspath(library))),
            "torch": (script + ["torch"] + end + [arch, str(threads)], plain),
        }
        self.seen = set()

    def run(self, side, repetitions):
        times = []
        for _ in range(repetitions):
            spent, seen = clock(*self.sides[side])
            self.seen.add(seen)
            times.append(spent)
        if len(self.seen) != 1:
            raise SystemExit("first predictions differ: %s" % sorted(self.seen))
        return times


def main():
    side, weights, images, arch, threads = sys.argv[1:]
    logits = (child_amun(weights, images, int(threads)) if side == "amun"
              else child_torch(weights, images, arch, int(threads)))
    print(int(logits.argmax()), flush=True)


if __name__ == "__main__":
    main()
