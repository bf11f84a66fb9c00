#!/usr/bin/env python3
"""What must not stand in the text: absolute paths of some machine, notes left for later, calls
that a library may not make."""
import re

from common import files_below, read, run, strip_comments

FOLDERS = ["include", "lib", "examples", "bindings"]
SUFFIXES = {".c", ".h", ".py", ".sh", ".md", ".build", ".txt", ".toml", ".map", ".rs"}

PATHS = re.compile(r"(?<![\w.$}~-])/(?:home|root|work|tmp|opt|mnt|usr|Users|private)/[\w.]")
WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK|WIP)\b")

# Calls that are wrong in lib/, with the files that have a reason.
CALLS = {
    r"(?:v?f?printf|puts|putchar|fputs|perror)": ("the library never prints", set()),
    r"(?:abort|exit|_exit|_Exit|quick_exit)": ("the library never ends the process", set()),
    r"(?:malloc|calloc|realloc|aligned_alloc|posix_memalign|strdup)":
        # the last two carry on with text that Jansson allocated
        ("memory comes from amun__alloc",
         {"lib/core/context.c", "lib/io/safetensors.c", "lib/train/checkpoint.c"}),
    r"(?:rand|srand|random|drand48|strtok|setlocale|gmtime|localtime|strerror)":
        ("global state", set()),
    r"getenv": ("the environment is read in one place", {"lib/core/context.c"}),
    r"omp_set_\w+|openblas_set_\w+": ("thread settings are changed in one place",
                                     {"lib/core/threads.c"}),
    r"(?:strcpy|strcat|sprintf|gets|alloca)": ("unbounded", set()),
}


def without_strings(text):
    return re.sub(r'"(?:\\.|[^"\\\n])*"', '""', strip_comments(text))


def check_lines(name, text):
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#!"):
            continue
        match = PATHS.search(line)
        if match:
            yield f"{name}:{number}: absolute path {match.group(0)}..."
        match = WORDS.search(line)
        if match:
            yield f"{name}:{number}: {match.group(0)} left in"
        if line.endswith((" ", "\t")) or ("\t" in line and name.endswith((".c", ".h", ".py"))):
            yield f"{name}:{number}: a tab, or space at the end"
    if text and not text.endswith("\n"):
        yield f"{name}: no newline at the end"


def check_calls(name, text):
    for number, line in enumerate(without_strings(text).splitlines(), 1):
        for pattern, (why, allowed) in CALLS.items():
            match = re.search(rf"(?<![\w.>]){pattern}\s*\(", line)
            if match and name not in allowed:
                yield f"{name}:{number}: {match.group(0)}: {why}"


def check(root):
    problems = []
    for path, name in files_below(root, FOLDERS, SUFFIXES):
        text = read(path)
        problems += check_lines(name, text)
        if name.startswith("lib/") and path.suffix in {".c", ".h"}:
            problems += check_calls(name, text)
    return problems


CLEAN = {
    "lib/core/context.c": "x = aligned_alloc(64, n); /* never printf() */\ny = getenv(\"A\");\n",
    "lib/nn/a.c": 'snprintf(t, 4, "exit(1)");\nctx->free(x);\njson_dumps(x);\n',
    "examples/run.sh": '#!/usr/bin/env bash\ncat >/dev/null <$DIR/tmp/x\n',
}
SEEDS = [
    ("home", {"lib/nn/a.c": '"/home/someone/x"\n'}, "absolute path"),
    ("scratch", {"examples/run.sh": "cp x /tmp/y\n"}, "absolute path"),
    ("left note", {"include/amun/a.h": "/* TODO: later */\n"}, "TODO"),
    ("left note in python", {"bindings/python/a.py": "x = 1  # FIXME\n"}, "FIXME"),
    ("print", {"lib/nn/a.c": 'printf("x");\n'}, "never prints"),
    ("print to stderr", {"lib/nn/a.c": '    fprintf (stderr, "x");\n'}, "never prints"),
    ("abort", {"lib/nn/a.c": "if (x) abort();\n"}, "ends the process"),
    ("malloc", {"lib/nn/a.c": "x = malloc(4);\n"}, "amun__alloc"),
    ("rand", {"lib/nn/a.c": "x = rand();\n"}, "global state"),
    ("getenv", {"lib/nn/a.c": 'x = getenv("A");\n'}, "one place"),
    ("threads", {"lib/nn/a.c": "omp_set_num_threads(2);\n"}, "one place"),
    ("sprintf", {"lib/nn/a.c": 'sprintf(x, "a");\n'}, "unbounded"),
    ("trailing space", {"lib/nn/a.c": "int x; \n"}, "space at the end"),
    ("no newline", {"lib/nn/a.c": "int x;"}, "no newline"),
]

if __name__ == "__main__":
    run(__doc__, check, CLEAN, SEEDS)
