/* Joint training under LOTOS that is killed, and goes on from its checkpoint in another process,
 * ends with the bytes of a run that was not: of all members, vectors of the term included. */
#include "amun/ensemble.h"
#include "killed.h"
#include "training.h"

enum { COUNT = 30, SIDE = 6, CLASSES = 3, MEMBERS = 3, EPOCHS = 16 };

typedef struct fixture {
    test_allocator allocator;
    amun_context *ctx;
    blobs b;
    amun_model *models[MEMBERS];
    amun_ensemble *ensemble;
} fixture;

static void setup(fixture *f)
{
    memset(f, 0, sizeof *f);
    f->ctx = test_context(&f->allocator);
    ck_ok(amun_context_set_threads(f->ctx, 1)); /* the same in both processes */
    blobs_make(&f->b, f->ctx, COUNT, 1, SIDE, SIDE, CLASSES, 23);
    for (size_t i = 0; i < MEMBERS; i++) {
        f->models[i] = conv_model(f->ctx, 1, SIDE, SIDE, CLASSES, 6 + i);
    }
    ck_ok(amun_ensemble_create(&f->ensemble, f->ctx, f->models, MEMBERS));
}

static void teardown(fixture *f)
{
    amun_ensemble_unref(f->ensemble);
    for (size_t i = 0; i < MEMBERS; i++) {
        amun_model_unref(f->models[i]);
    }
    blobs_free(&f->b);
    amun_context_unref(f->ctx);
    ck_assert_int_eq(f->allocator.live_blocks, 0);
    ck_assert_int_eq(f->allocator.wrong, 0);
}

/* Batches 8, 8, 8, 6, so that a term of every third step starts each epoch at another place; the
 * attack of PGD_AT draws its starts; everything else random is in use, too. */
static void train(fixture *f, bool lotos, const char *checkpoint, const amun_call_options *call)
{
    amun_train_options t = train_options(EPOCHS, 8, 0.05);
    amun_lotos_options term;
    amun_ensemble_train_options o;
    ck_ok(amun_lotos_options_init(&term, sizeof term));
    ck_ok(amun_ensemble_train_options_init(&o, sizeof o));
    t.schedule = AMUN_SCHEDULE_COSINE;
    t.augment_pad = 1;
    t.augment_flip = 1;
    t.seed = 9;
    t.checkpoint = checkpoint;
    term.mal = term.batchnorm_mal = 0.1;
    term.k = 2;
    term.batchnorm = 1;
    term.every = 3;
    o.method = AMUN_ENSEMBLE_PGD_AT;
    o.attack_steps = 2;
    o.train = &t;
    o.lotos = lotos ? &term : NULL;
    ck_ok(amun_ensemble_train(NULL, f->ensemble, f->b.data, NULL, 0, &o, call));
}

/* Of all members, one after the other. */
static model_bytes all_bytes(const fixture *f)
{
    model_bytes all = {NULL, 0};
    for (size_t i = 0; i < MEMBERS; i++) {
        model_bytes one = bytes_of(f->models[i]);
        all.bytes = realloc(all.bytes, all.size + one.size);
        ck_assert_ptr_nonnull(all.bytes);
        memcpy(all.bytes + all.size, one.bytes, one.size);
        all.size += one.size;
        free(one.bytes);
    }
    return all;
}

START_TEST(child)
{
    fixture f;
    setup(&f);
    amun_call_options call = dawdling();
    train(&f, true, child_checkpoint, &call);
    model_bytes bytes = all_bytes(&f);
    const amun__chunk chunk = {bytes.bytes, bytes.size};
    ck_ok(amun__file_write(f.ctx, child_out, &chunk, 1));
    free(bytes.bytes);
    teardown(&f);
}
END_TEST

static model_bytes uninterrupted(bool lotos)
{
    fixture f;
    setup(&f);
    train(&f, lotos, NULL, NULL);
    model_bytes bytes = all_bytes(&f);
    teardown(&f);
    return bytes;
}

START_TEST(killed)
{
    char checkpoint[4096], out[4096];
    snprintf(checkpoint, sizeof checkpoint, "%s", test_path("joint_killed.ckpt"));
    snprintf(out, sizeof out, "%s", test_path("joint_killed.out"));
    remove(checkpoint);
    remove(out);
    fixture f;
    setup(&f);
    model_bytes expected = uninterrupted(true);
    kill_until_done(f.ctx, checkpoint, out);
    amun__mapping mapping;
    ck_ok(amun__file_map(&mapping, out));
    ck_assert_uint_eq(mapping.size, expected.size);
    ck_assert(memcmp(mapping.data, expected.bytes, expected.size) == 0);
    amun__file_unmap(&mapping);
    ck_assert(!same_bytes(expected, uninterrupted(false))); /* the term does something */
    remove(out);
    remove(checkpoint);
    remove_leftovers(checkpoint);
    teardown(&f);
}
END_TEST

int main(int argc, char **argv)
{
    TCase *tc = tcase_create("killed");
    tcase_set_timeout(tc, 0);
    if (is_child(argc, argv)) {
        tcase_add_test(tc, child);
        return amun_test_main("child", (TCase *[]){tc, NULL});
    }
    tcase_add_test(tc, killed);
    return amun_test_main("joint_killed", (TCase *[]){tc, NULL});
}
