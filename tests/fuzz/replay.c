/* replay.c - runs a fuzz target over the files of a folder: the main of builds without a fuzzer.
 * Each file is given whole, and cut short at a few places. Output is TAP. */
#include <dirent.h>
#include <stdio.h>

#include "fuzz.h"

static void run(const uint8_t *data, size_t size)
{
    /* memory of the exact size: a sanitizer sees each step outside */
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    if (copy != NULL) {
        memcpy(copy, data, size);
        LLVMFuzzerTestOneInput(copy, size);
    }
    free(copy);
}

static bool replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    static uint8_t data[1 << 20];
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    run(data, size);
    for (size_t keep = 0; keep < size; keep += 1 + size / 64) {
        run(data, keep);
    }
    return true;
}

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (dir == NULL) {
        printf("Bail out! usage: replay FOLDER\n");
        return 2;
    }
    int count = 0;
    bool good = true;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char path[4096];
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        bool read = replay(path);
        good = good && read;
        printf("%s %d - %s\n", read ? "ok" : "not ok", ++count, entry->d_name);
        fflush(stdout);
    }
    closedir(dir);
    printf("1..%d\n", count);
    return good && count > 0 ? 0 : 1;
}
