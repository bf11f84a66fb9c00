/* work.c - the work folder of programs that run for long. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <unistd.h>

#include "work.h"

static uint64_t hash_bytes(const void *bytes, size_t size, uint64_t hash)
{
    const unsigned char *b = bytes; /* FNV-1a */
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ b[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static const uint64_t HASH_START = UINT64_C(0xcbf29ce484222325);

static void read_note(ex_item *it)
{
    FILE *file = fopen(it->note, "r");
    char *line = NULL;
    size_t room = 0;
    int done = 0;
    if (file == NULL) {
        return;
    }
    ssize_t length = getline(&line, &room, file);
    if (length > 0 && line[length - 1] == '\n') {
        line[length - 1] = '\0';
    }
    if (length > 0 && strcmp(line, it->key) == 0 &&
        fscanf(file, "seconds %lf done %d", &it->spent, &done) == 2) {
        it->done = done == 1 && access(it->path, R_OK) == 0;
    } else {
        it->spent = 0.0;
    }
    free(line);
    fclose(file);
}

static void write_note(const ex_item *it, double seconds, bool done)
{
    char *part = ex_format("%s.part", it->note);
    FILE *file = fopen(part, "w");
    bool good = file != NULL;
    if (good) {
        good = fprintf(file, "%s\nseconds %.3f done %d\n", it->key, seconds, (int)done) > 0;
        good &= fclose(file) == 0;
    }
    if (!good || rename(part, it->note) != 0) {
        ex_usage("cannot write %s: %s", it->note, strerror(errno));
    }
    free(part);
}

void ex_item_open(ex_item *it, const char *work, const char *name, const char *suffix, char *key)
{
    uint64_t hash = hash_bytes(key, strlen(key), HASH_START);
    *it = (ex_item){.key = key};
    it->path = ex_format("%s/%s-%016" PRIx64 "%s", work, name, hash, suffix);
    it->note = ex_format("%s/%s-%016" PRIx64 ".note", work, name, hash);
    it->checkpoint = ex_format("%s/%s-%016" PRIx64 ".checkpoint", work, name, hash);
    read_note(it);
    it->began = ex_now();
}

static void item_tick(void *data, const amun_progress *progress)
{
    (void)progress;
    const ex_item *it = data;
    write_note(it, it->spent + ex_now() - it->began, false);
}

void ex_item_finish(ex_item *it)
{
    if (!it->done) {
        it->spent += ex_now() - it->began;
        it->done = true;
        write_note(it, it->spent, true);
        unlink(it->checkpoint);
    }
}

void ex_item_close(ex_item *it)
{
    free(it->key);
    free(it->path);
    free(it->note);
    free(it->checkpoint);
    *it = (ex_item){0};
}

void ex_item_watch(ex_progress *progress, ex_item *it)
{
    progress->tick = item_tick;
    progress->tick_data = it;
}

/* Two runs would train the same models over each other's checkpoints. The system takes the lock
 * back when this process ends, however it ends. */
void ex_work_lock(const char *work)
{
    ex_make_folder(work);
    char *path = ex_format("%s/lock", work);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) {
        ex_usage("cannot write %s: %s", path, strerror(errno));
    }
    free(path);
    if (flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        ex_usage("--work: another run is at work in %s", work);
    }
    /* the file stays open */
}

/* ---- keys ------------------------------------------------------------------------------------ */

static uint64_t hash_dataset(const amun_dataset *ds, const int64_t shape[3], uint64_t hash)
{
    enum { AT_ONCE = 256 };
    size_t pixels = (size_t)(shape[0] * shape[1] * shape[2]), count = amun_dataset_count(ds);
    float *images = ex_alloc(AT_ONCE * pixels, sizeof *images);
    int64_t labels[AT_ONCE];
    for (size_t first = 0; first < count; first += AT_ONCE) {
        size_t n = count - first < AT_ONCE ? count - first : AT_ONCE;
        ex_check(amun_dataset_read(ds, first, n, images));
        ex_check(amun_dataset_labels(ds, first, n, labels));
        hash = hash_bytes(images, n * pixels * sizeof *images, hash);
        hash = hash_bytes(labels, n * sizeof *labels, hash);
    }
    free(images);
    return hash;
}

char *ex_train_key(const amun_train_options *t)
{
    char *steps = t->schedule == AMUN_SCHEDULE_STEP
                      ? ex_format(" every %d by %.17g", (int)t->step_epochs, t->gamma)
                      : ex_format("%s", "");
    char *clip = t->clip != NULL ? ex_format(" clip %.17g every %d seed %" PRIu64, t->clip->target,
                                             (int)t->clip->every, t->clip->seed)
                                 : ex_format("%s", "");
    const char *optimiser = t->optimiser == AMUN_OPTIMISER_ADAM ? " adam" : "";
    char *cutout = t->augment_cutout > 0 ? ex_format(" cutout %d", (int)t->augment_cutout)
                                         : ex_format("%s", "");
    char *key =
        ex_format("epochs %d batch %d lr %.17g momentum %.17g nesterov %d decay %.17g schedule "
                  "%d%s smoothing %.17g pad %d flip %d seed %" PRIu64 "%s%s%s",
                  (int)t->epochs, (int)t->batch, t->lr, t->momentum, (int)t->nesterov,
                  t->weight_decay, (int)t->schedule, steps, t->label_smoothing, (int)t->augment_pad,
                  (int)t->augment_flip, t->seed, clip, optimiser, cutout);
    free(cutout);
    free(clip);
    free(steps);
    return key;
}

char *ex_base_key(amun_context *ctx, const ex_data *data, const char *arch,
                  const amun_train_options *train)
{
    uint64_t hash = hash_dataset(data->train, data->shape, HASH_START);
    hash = hash_dataset(data->test, data->shape, hash);
    char *training = ex_train_key(train);
    char *key = ex_format("amun %s, %d threads, data %016" PRIx64 ", %s, %s", amun_version_string(),
                          (int)amun_context_get_threads(ctx), hash, arch, training);
    free(training);
    return key;
}

/* ---- what several programs keep ------------------------------------------------------------- */

amun_mia *ex_work_references(amun_context *ctx, const ex_data *data, const char *work,
                             const char *base, const amun_model *like,
                             const amun_train_options *train, int64_t count, double *seconds)
{
    ex_item it;
    ex_progress progress;
    amun_mia *mia = NULL;
    amun_mia_options opts;
    amun_train_options own = *train;
    ex_check(amun_mia_options_init(&opts, sizeof opts));
    opts.references = (int32_t)count;
    opts.seed = (uint64_t)ex_args.seed;
    own.seed = (uint64_t)ex_args.seed + 1000;
    ex_check(amun_mia_create(&mia, ctx, data->train, data->test, &opts));
    ex_item_open(&it, work, "references", "",
                 ex_format("%s, %d references", base, (int)opts.references));
    ex_progress_begin(&progress, "%d reference models", (int)opts.references);
    ex_item_watch(&progress, &it);
    bool kept = it.done;
    ex_check(amun_mia_train_references(mia, like, &own, it.path, &progress.call));
    ex_item_finish(&it);
    ex_progress_end(&progress, kept ? "from the work folder" : "done");
    *seconds = it.spent;
    ex_item_close(&it);
    return mia;
}

amun_advset *ex_work_advset(amun_context *ctx, const ex_data *data, const char *work, char *key,
                            const amun_search_options *opts, const amun_model *model,
                            const int64_t *forget, size_t count, double *seconds)
{
    ex_item it;
    ex_progress progress;
    amun_advset *set = NULL;
    ex_item_open(&it, work, "advset", ".safetensors", key);
    ex_progress_begin(&progress, "adversarial set of %zu samples", count);
    if (it.done) {
        ex_check(amun_advset_load(&set, data->train, it.path, ctx));
    } else {
        amun_attack *search = NULL;
        ex_check(amun_attack_create_search(&search, ctx, opts));
        ex_check(
            amun_advset_build(&set, search, model, data->train, forget, count, &progress.call));
        ex_check(amun_advset_save(set, it.path));
        amun_attack_unref(search);
        ex_item_finish(&it);
    }
    ex_progress_end(&progress, "%zu found", amun_advset_found(set));
    *seconds = it.spent;
    ex_item_close(&it);
    return set;
}
