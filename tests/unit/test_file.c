/* test_file.c - mapping files, replacing them atomically, making folders. */
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/io.h"
#include "test_files.h"

static test_allocator allocator;
static amun_context *ctx;

static void set_up(void)
{
    ctx = test_context(&allocator);
}

static void tear_down(void)
{
    amun_context_unref(ctx);
    ck_assert_int_eq(allocator.live_blocks, 0);
}

START_TEST(test_map)
{
    TEST_FILE(path, "file_map");
    amun__mapping mapping;
    put_file(path, "hello", 5);
    ck_ok(amun__file_map(&mapping, path));
    ck_assert_uint_eq(mapping.size, 5);
    ck_assert_int_eq(memcmp(mapping.data, "hello", 5), 0);
    amun__file_unmap(&mapping);
    ck_assert_ptr_null(mapping.data);
    amun__file_unmap(&mapping); /* twice is harmless */

    put_file(path, "", 0);
    ck_ok(amun__file_map(&mapping, path));
    ck_assert_uint_eq(mapping.size, 0);
    ck_assert_ptr_nonnull(mapping.data);
    amun__file_unmap(&mapping);
    unlink(path);
}
END_TEST

START_TEST(test_map_refuses)
{
    amun__mapping mapping;
    TEST_FILE(missing, "file_missing");
    ck_fails(amun__file_map(&mapping, missing), AMUN_ERROR_NOT_FOUND, "file_missing");
    ck_assert_ptr_null(mapping.data);
    TEST_FILE(below, "file_missing/deeper");
    ck_fails(amun__file_map(&mapping, below), AMUN_ERROR_NOT_FOUND, "deeper");
    ck_fails(amun__file_map(&mapping, test_path(".")), AMUN_ERROR_IO, "is a folder");
    ck_fails(amun__file_map(&mapping, NULL), AMUN_ERROR_INVALID_ARGUMENT, "NULL");
    ck_fails(amun__file_map(&mapping, ""), AMUN_ERROR_INVALID_ARGUMENT, "empty");

    TEST_FILE(pipe_path, "file_pipe"); /* must not wait for a writer */
    unlink(pipe_path);
    ck_assert_int_eq(mkfifo(pipe_path, 0600), 0);
    ck_fails(amun__file_map(&mapping, pipe_path), AMUN_ERROR_IO, "not a regular file");
    unlink(pipe_path);
}
END_TEST

START_TEST(test_write)
{
    TEST_FILE(folder, "file_write");
    ck_ok(amun__file_make_dir(folder));
    TEST_FILE(path, "file_write/a");
    const amun__chunk chunks[] = {{"one ", 4}, {NULL, 0}, {"two", 3}};
    ck_ok(amun__file_write(ctx, path, chunks, 3));
    check_file(path, "one two", 7);
    ck_assert(amun__file_exists(path));

    ck_assert_int_eq(chmod(path, 0640), 0);
    ck_ok(amun__file_write(ctx, path, chunks, 1));
    check_file(path, "one ", 4);
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0640); /* the mode of the old file stays */

    ck_ok(amun__file_write(ctx, path, NULL, 0));
    check_file(path, "", 0);
    ck_assert_int_eq(count_files(folder, ".tmp"), 0);
    unlink(path);
    ck_assert(!amun__file_exists(path));
}
END_TEST

START_TEST(test_write_sweeps_leftovers)
{
    TEST_FILE(folder, "file_sweep");
    ck_ok(amun__file_make_dir(folder));
    TEST_FILE(path, "file_sweep/a");
    TEST_FILE(dead, "file_sweep/a.0123456789abcdef.tmp");
    TEST_FILE(alive, "file_sweep/a.fedcba9876543210.tmp");
    TEST_FILE(others, "file_sweep/b.0123456789abcdef.tmp");
    TEST_FILE(users, "file_sweep/a.0123456789abcdeg.tmp");
    const char *const all[] = {dead, alive, others, users};
    for (int i = 0; i < 4; i++) {
        put_file(all[i], "half", 4);
    }
    int writer = open(alive, O_RDONLY);
    ck_assert_int_eq(flock(writer, LOCK_EX), 0);
    const amun__chunk chunk = {"new", 3};
    ck_ok(amun__file_write(ctx, path, &chunk, 1));
    check_file(path, "new", 3);
    ck_assert(!amun__file_exists(dead)); /* nobody holds it: its writer died */
    for (int i = 1; i < 4; i++) {
        ck_assert_msg(amun__file_exists(all[i]), "%s is gone", all[i]);
    }
    close(writer);
    ck_ok(amun__file_write(ctx, path, &chunk, 1));
    ck_assert(!amun__file_exists(alive));
    unlink(others);
    unlink(users);
    unlink(path);
}
END_TEST

START_TEST(test_write_follows_link)
{
    TEST_FILE(path, "file_target");
    TEST_FILE(link, "file_link");
    put_file(path, "old", 3);
    unlink(link);
    ck_assert_int_eq(symlink("file_target", link), 0);
    const amun__chunk chunk = {"new", 3};
    ck_ok(amun__file_write(ctx, link, &chunk, 1));
    check_file(path, "new", 3);
    struct stat info;
    ck_assert_int_eq(lstat(link, &info), 0);
    ck_assert(S_ISLNK(info.st_mode));
    unlink(link);
    unlink(path);
}
END_TEST

START_TEST(test_write_relative)
{
    char before[4096];
    ck_assert_ptr_nonnull(getcwd(before, sizeof before));
    ck_assert_int_eq(chdir(test_path(".")), 0);
    const amun__chunk chunk = {"here", 4};
    ck_ok(amun__file_write(ctx, "file_relative", &chunk, 1));
    check_file("file_relative", "here", 4);
    unlink("file_relative");
    ck_assert_int_eq(chdir(before), 0);
}
END_TEST

START_TEST(test_write_failure_keeps_old_file)
{
    TEST_FILE(folder, "file_limit");
    ck_ok(amun__file_make_dir(folder));
    TEST_FILE(path, "file_limit/a");
    put_file(path, "precious", 8);
    static char big[1 << 16];
    const amun__chunk chunk = {big, sizeof big};

    /* the disk is full after 4096 bytes */
    struct rlimit old, limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = 4096;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    amun_status status = amun__file_write(ctx, path, &chunk, 1);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);

    ck_fails(status, AMUN_ERROR_IO, "cannot write");
    check_file(path, "precious", 8);
    ck_assert_int_eq(count_files(folder, "a"), 1); /* no temporary file stays */
    unlink(path);
}
END_TEST

START_TEST(test_write_refuses)
{
    const amun__chunk chunk = {"x", 1};
    TEST_FILE(below, "file_nowhere/a");
    ck_fails(amun__file_write(ctx, below, &chunk, 1), AMUN_ERROR_NOT_FOUND, "file_nowhere");
    ck_fails(amun__file_write(ctx, test_path("."), &chunk, 1), AMUN_ERROR_IO, "not a regular file");
    ck_fails(amun__file_write(ctx, NULL, &chunk, 1), AMUN_ERROR_INVALID_ARGUMENT, "NULL");
    char name[6000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ck_fails(amun__file_write(ctx, name, &chunk, 1), AMUN_ERROR_IO, "nnn");
    ck_fails(amun__file_make_dir(name), AMUN_ERROR_IO, "nnn");
}
END_TEST

/* A process that does nothing but replace the file, killed at any moment. */
static void replace_forever(const char *path, char *content, size_t size)
{
    const amun__chunk chunk = {content, size};
    for (char fill = 'a';; fill = fill == 'z' ? 'a' : (char)(fill + 1)) {
        memset(content, fill, size);
        if (amun__file_write(ctx, path, &chunk, 1) != AMUN_OK) {
            _exit(1);
        }
    }
}

START_TEST(test_killed_writer_leaves_whole_file)
{
    static char content[1 << 18];
    TEST_FILE(folder, "file_killed");
    ck_ok(amun__file_make_dir(folder));
    TEST_FILE(path, "file_killed/a");
    memset(content, 'A', sizeof content);
    put_file(path, content, sizeof content);
    for (int round = 0; round < 8; round++) {
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            replace_forever(path, content, sizeof content);
        }
        struct timespec nap = {0, 1000000L + round * 3700000L};
        nanosleep(&nap, NULL);
        kill(child, SIGKILL);
        int how = 0;
        ck_assert_int_eq(waitpid(child, &how, 0), child);
        ck_assert(WIFSIGNALED(how)); /* not gone before, with an error */
        size_t size = 0;
        unsigned char *found = get_file(path, &size);
        ck_assert_uint_eq(size, sizeof content);
        /* one writer's bytes from end to end: equal to itself one byte further */
        ck_assert_int_eq(memcmp(found, found + 1, size - 1), 0);
        free(found);
    }
    char command[5000];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(test_make_dir)
{
    TEST_FILE(deep, "file_dir/b/c//d/");
    ck_ok(amun__file_make_dir(deep));
    struct stat info;
    ck_assert_int_eq(stat(deep, &info), 0);
    ck_assert(S_ISDIR(info.st_mode));
    ck_ok(amun__file_make_dir(deep)); /* there already */
    TEST_FILE(file, "file_dir/b/x");
    put_file(file, "", 0);
    TEST_FILE(below, "file_dir/b/x/y");
    ck_fails(amun__file_make_dir(below), AMUN_ERROR_IO, "not a folder");
    ck_fails(amun__file_make_dir(""), AMUN_ERROR_INVALID_ARGUMENT, "empty");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("file");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_map);
    tcase_add_test(tc, test_map_refuses);
    tcase_add_test(tc, test_write);
    tcase_add_test(tc, test_write_sweeps_leftovers);
    tcase_add_test(tc, test_write_follows_link);
    tcase_add_test(tc, test_write_relative);
    tcase_add_test(tc, test_write_failure_keeps_old_file);
    tcase_add_test(tc, test_write_refuses);
    tcase_add_test(tc, test_killed_writer_leaves_whole_file);
    tcase_add_test(tc, test_make_dir);
    return amun_test_main("file", (TCase *[]){tc, NULL});
}
