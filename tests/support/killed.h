/* killed.h - for tests of runs that are killed: the test program starts itself as another process,
 * kills it at random moments, and lets it go on from its checkpoint until it comes to its end. */
#ifndef AMUN_TEST_KILLED_H
#define AMUN_TEST_KILLED_H

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/io.h"
#include "support.h"

/* ---- the other process -------------------------------------------------------------------------
 */

/* It is a test of its own: trains with the checkpoint, writes the final values. */
static const char *child_checkpoint, *child_out;

/* For the first line of main(): whether this is the child, whose files are then known. */
static bool is_child(int argc, char **argv)
{
    if (argc != 4 || strcmp(argv[1], "--child") != 0) {
        return false;
    }
    child_checkpoint = argv[2];
    child_out = argv[3];
    return true;
}

/* A step of at least a millisecond, so that a kill can hit any of them. */
static int32_t dawdle(const amun_progress *p, void *user_data)
{
    (void)p;
    (void)user_data;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return 0;
}

static amun_call_options dawdling(void)
{
    amun_call_options call;
    ck_ok(amun_call_options_init(&call, sizeof call));
    call.progress = dawdle;
    call.min_interval_ms = 0;
    return call;
}

/* ---- the test ----------------------------------------------------------------------------------
 */

/* Exit status of a child that is killed after `delay` milliseconds; -1 if the kill came first. */
static int run_child(const char *checkpoint, const char *out, unsigned delay)
{
    extern char **environ;
    char self[] = "/proc/self/exe", flag[] = "--child", a[4096], b[4096];
    char target[4096];
    ssize_t length = readlink(self, target, sizeof target - 1);
    ck_assert(length > 0);
    target[length] = '\0';
    snprintf(a, sizeof a, "%s", checkpoint);
    snprintf(b, sizeof b, "%s", out);
    char *argv[] = {target, flag, a, b, NULL};
    pid_t pid = 0;
    posix_spawn_file_actions_t quiet; /* its report is not ours */
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    ck_assert_int_eq(posix_spawn(&pid, target, &quiet, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&quiet);
    nanosleep(&(struct timespec){.tv_sec = delay / 1000, .tv_nsec = delay % 1000 * 1000000L}, NULL);
    kill(pid, SIGKILL);
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Epoch in the checkpoint, -1 if there is none. */
static int epoch_of(amun_context *ctx, const char *path)
{
    amun__safetensors *file = NULL;
    if (!amun__file_exists(path)) {
        return -1;
    }
    ck_ok(amun__safetensors_open(&file, ctx, path)); /* whole at any moment */
    int epoch = atoi(amun__safetensors_meta(file, "amun.epoch"));
    amun__safetensors_close(file);
    return epoch;
}

/* Starts and kills children until one comes to its end, which must be a good one; at least one of
 * the others must have got further. */
static void kill_until_done(amun_context *ctx, const char *checkpoint, const char *out)
{
    amun__rng rng;
    amun__rng_open(&rng, (uint64_t)time(NULL), AMUN__RNG_TEST, 0, 0);
    int code = -1, useful = 0, last = -1;
    unsigned span = 100;
    for (int attempt = 0; attempt < 400 && code == -1; attempt++) {
        code = run_child(checkpoint, out, 1 + amun__rng_below(&rng, span));
        int epoch = epoch_of(ctx, checkpoint);
        ck_assert_int_ge(epoch, last);
        useful += code == -1 && epoch > last;
        span += epoch > last ? 0 : 20; /* slow machines need longer to get anywhere */
        last = epoch;
    }
    ck_assert_int_eq(code, 0);
    ck_assert_int_ge(useful, 1);
}

/* A write that was killed leaves its temporary file. */
static void remove_leftovers(const char *path)
{
    char pattern[4200];
    snprintf(pattern, sizeof pattern, "%s.*.tmp", path);
    glob_t found;
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            remove(found.gl_pathv[i]);
        }
    }
    globfree(&found);
}

#endif
