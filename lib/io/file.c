/* file.c - whole files: mapped for reading, replaced atomically for writing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/io.h"

/* One write(2) moves at most this much; the kernel's own limit is just below 2 GiB. */
enum { WRITE_STEP = 1 << 28 };

/* ---- errors
 * -------------------------------------------------------------------------------------- */

/* NOT_FOUND for a missing file, IO for the rest, with the system's own words. */
static amun_status fail_errno(int error, const char *doing, const char *path)
{
    char buffer[128] = "unknown error";
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
    const char *text = strerror_r(error, buffer, sizeof buffer);
#else
    const char *text = buffer;
    if (strerror_r(error, buffer, sizeof buffer) != 0) {
        text = "unknown error";
    }
#endif
    amun_status status = error == ENOENT || error == ENOTDIR ? AMUN_ERROR_NOT_FOUND : AMUN_ERROR_IO;
    return amun__fail(status, "%s: cannot %s: %s", path, doing, text);
}

static amun_status check_path(const char *path)
{
    if (path == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "path is NULL");
    }
    if (path[0] == '\0') {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "path is empty");
    }
    return AMUN_OK;
}

/* ---- reading
 * ------------------------------------------------------------------------------------- */

/* Stands for the data of an empty file: a valid pointer, no bytes. */
static const uint8_t no_bytes[1];

static amun_status map_descriptor(amun__mapping *out, int fd, const char *path)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return fail_errno(errno, "examine", path);
    }
    if (S_ISDIR(info.st_mode)) {
        return amun__fail(AMUN_ERROR_IO, "%s: is a folder, expected a file", path);
    }
    if (!S_ISREG(info.st_mode)) {
        return amun__fail(AMUN_ERROR_IO, "%s: is not a regular file", path);
    }
    if (info.st_size < 0 || (uintmax_t)info.st_size > PTRDIFF_MAX) {
        return amun__fail(AMUN_ERROR_IO, "%s: size %lld is out of range", path,
                          (long long)info.st_size);
    }
    if (info.st_size == 0) {
        out->data = no_bytes;
        return AMUN_OK;
    }
    void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        return fail_errno(errno, "map", path);
    }
    out->data = data;
    out->size = (size_t)info.st_size;
    return AMUN_OK;
}

amun_status amun__file_map(amun__mapping *out, const char *path)
{
    *out = (amun__mapping){NULL, 0};
    AMUN__CHECK(check_path(path));
    /* Non-blocking, so that a named pipe is refused instead of waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return fail_errno(errno, "open", path);
    }
    amun_status status = map_descriptor(out, fd, path);
    close(fd);
    return status;
}

void amun__file_unmap(amun__mapping *mapping)
{
    if (mapping->size > 0) {
        munmap((void *)(uintptr_t)mapping->data, mapping->size);
    }
    *mapping = (amun__mapping){NULL, 0};
}

bool amun__file_exists(const char *path)
{
    struct stat info;
    return path != NULL && stat(path, &info) == 0;
}

/* ---- writing
 * ------------------------------------------------------------------------------------- */

static amun_status write_all(int fd, const amun__chunk *chunk, const char *path)
{
    const char *data = chunk->data;
    size_t left = chunk->size;
    while (left > 0) {
        ssize_t wrote = write(fd, data, left < WRITE_STEP ? left : WRITE_STEP);
        if (wrote < 0) {
            if (errno == EINTR) {
                continue;
            }
            return fail_errno(errno, "write", path);
        }
        data += wrote;
        left -= (size_t)wrote;
    }
    return AMUN_OK;
}

/* The folder that `path` lies in. */
static amun_status folder_of(char *folder, size_t size, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (length + 1 >= size) {
        return fail_errno(ENAMETOOLONG, "write", path);
    }
    memcpy(folder, slash == NULL ? "." : path, length == 0 ? 1 : length);
    folder[length == 0 ? 1 : length] = '\0';
    return AMUN_OK;
}

/* Makes the rename itself durable. Some file systems cannot sync a folder and say EINVAL. */
static amun_status sync_folder(const char *path)
{
    char folder[PATH_MAX];
    AMUN__CHECK(folder_of(folder, sizeof folder, path));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return fail_errno(errno, "open folder", folder);
    }
    int error = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
    close(fd);
    return error == 0 ? AMUN_OK : fail_errno(error, "sync folder", folder);
}

/* Temporary files are named path.0123456789abcdef.tmp; their writer holds a lock on them, which the
 * system drops when the process dies. */
enum { TEMPORARY_DIGITS = 16 };
static const char temporary_ending[] = ".tmp";

static bool is_temporary_of(const char *name, const char *base)
{
    size_t length = strlen(base);
    return strlen(name) == length + 1 + TEMPORARY_DIGITS + strlen(temporary_ending) &&
           strncmp(name, base, length) == 0 && name[length] == '.' &&
           strspn(name + length + 1, "0123456789abcdef") == TEMPORARY_DIGITS &&
           strcmp(name + length + 1 + TEMPORARY_DIGITS, temporary_ending) == 0;
}

/* Removes what killed writers of `path` left behind: a long run that is killed and resumed again
 * and again must not fill the disk. Nothing here is worth failing for. */
static void sweep_leftovers(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash == NULL ? path : slash + 1;
    char folder[PATH_MAX];
    if (folder_of(folder, sizeof folder, path) != AMUN_OK) {
        return;
    }
    DIR *entries = opendir(folder);
    if (entries == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (!is_temporary_of(entry->d_name, base)) {
            continue;
        }
        int fd =
            openat(dirfd(entries), entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd >= 0) {
            if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
                unlinkat(dirfd(entries), entry->d_name, 0);
            }
            close(fd);
        }
    }
    closedir(entries);
}

/* Locks a new temporary file. False if another writer took it for a leftover before that. File
 * systems without locks have no sweeper either. */
static bool keep_temporary(int fd)
{
    struct stat info;
    int locked = flock(fd, LOCK_EX | LOCK_NB);
    if (locked != 0 && errno != EWOULDBLOCK) {
        return true;
    }
    return locked == 0 && fstat(fd, &info) == 0 && info.st_nlink > 0;
}

/* A new file next to `path`. Its name is random, so concurrent writers do not meet, and a file
 * left behind by a killed process is never in the way. */
static amun_status open_temporary(int *out, char *name, size_t size, const char *path)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
    seed = amun__hash64(&seed, sizeof seed, (uint64_t)getpid() ^ (uint64_t)(uintptr_t)&now);
    for (int attempt = 0; attempt < 100; attempt++) {
        seed = amun__hash64(&seed, sizeof seed, (uint64_t)attempt);
        int length = snprintf(name, size, "%s.%0*llx%s", path, TEMPORARY_DIGITS,
                              (unsigned long long)seed, temporary_ending);
        if (length < 0 || (size_t)length >= size) {
            return fail_errno(ENAMETOOLONG, "write", path);
        }
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 && keep_temporary(fd)) {
            *out = fd;
            return AMUN_OK;
        }
        if (fd >= 0) {
            close(fd);
        } else if (errno != EEXIST) {
            return fail_errno(errno, "create", name);
        }
    }
    return fail_errno(EEXIST, "create a temporary file for", path);
}

static amun_status replace_file(const char *path, const amun__chunk *chunks, size_t count,
                                const struct stat *old)
{
    char name[PATH_MAX];
    int fd = -1;
    sweep_leftovers(path);
    AMUN__CHECK(open_temporary(&fd, name, sizeof name, path));
    amun_status status = AMUN_OK;
    if (old != NULL && fchmod(fd, old->st_mode & 0777) != 0) {
        AMUN__TRY(fail_errno(errno, "set the mode of", name));
    }
    for (size_t i = 0; i < count; i++) {
        AMUN__TRY(write_all(fd, &chunks[i], name));
    }
    if (fsync(fd) != 0) {
        AMUN__TRY(fail_errno(errno, "sync", name));
    }
    int closed = close(fd);
    fd = -1;
    if (closed != 0) {
        AMUN__TRY(fail_errno(errno, "close", name));
    }
    if (rename(name, path) != 0) {
        AMUN__TRY(fail_errno(errno, "replace", path));
    }
    return sync_folder(path);

fail:
    if (fd >= 0) {
        close(fd);
    }
    unlink(name);
    return status;
}

amun_status amun__file_write(amun_context *ctx, const char *path, const amun__chunk *chunks,
                             size_t count)
{
    (void)ctx;
    AMUN__CHECK(check_path(path));
    struct stat info;
    if (stat(path, &info) != 0) {
        if (errno != ENOENT) {
            return fail_errno(errno, "write", path);
        }
        return replace_file(path, chunks, count, NULL);
    }
    if (!S_ISREG(info.st_mode)) {
        return amun__fail(AMUN_ERROR_IO, "%s: exists and is not a regular file", path);
    }
    /* rename() would replace a symbolic link itself; what it points to is meant. */
    char *real = realpath(path, NULL);
    if (real == NULL) {
        return fail_errno(errno, "resolve", path);
    }
    amun_status status = replace_file(real, chunks, count, &info);
    free(real);
    return status;
}

amun_status amun__file_make_dir(const char *path)
{
    AMUN__CHECK(check_path(path));
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length >= sizeof part) {
        return fail_errno(ENAMETOOLONG, "create", path);
    }
    memcpy(part, path, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (part[i] != '/' && part[i] != '\0') {
            continue;
        }
        char kept = part[i];
        part[i] = '\0';
        if (mkdir(part, 0777) != 0) {
            int error = errno;
            struct stat info;
            if (stat(part, &info) != 0) {
                return fail_errno(error, "create folder", part);
            }
            if (!S_ISDIR(info.st_mode)) {
                return amun__fail(AMUN_ERROR_IO, "%s: exists and is not a folder", part);
            }
        }
        part[i] = kept;
    }
    return AMUN_OK;
}
