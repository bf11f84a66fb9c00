/* golden.h - for tests against values that another program computed: tests/data/golden_*.json. */
#ifndef AMUN_TEST_GOLDEN_H
#define AMUN_TEST_GOLDEN_H

#include "io/io.h"
#include "support.h"

#define GOLDEN_UNUSED __attribute__((unused))

/* The file, parsed; json_decref() it. */
GOLDEN_UNUSED static json_t *golden_open(const char *name)
{
    amun__mapping mapping;
    json_t *root = NULL;
    ck_ok(amun__file_map(&mapping, test_source_path(name)));
    ck_ok(amun__json_parse(&root, (const char *)mapping.data, mapping.size, name));
    amun__file_unmap(&mapping);
    return root;
}

/* [norm, sum, first, middle, last] of what PyTorch had. Single elements and the sum are measured on
 * the scale of the whole, or of `least`: what cancels has no scale of its own. */
GOLDEN_UNUSED static void golden_expect(const json_t *table, const char *key, const float *values,
                                        size_t count, double limit, double least, const char *name)
{
    const json_t *row = json_object_get(table, key);
    ck_assert_msg(json_array_size(row) == 5, "%s: no values for \"%s\"", name, key);
    double want[5], norm = 0, sum = 0;
    for (size_t i = 0; i < 5; i++) {
        want[i] = json_number_value(json_array_get(row, i));
    }
    for (size_t i = 0; i < count; i++) {
        norm += (double)values[i] * (double)values[i];
        sum += (double)values[i];
    }
    const double scale = fmax(want[0], least), root = sqrt((double)count);
    const double got[5] = {sqrt(norm), sum / root, (double)values[0], (double)values[count / 2],
                           (double)values[count - 1]};
    want[1] /= root;
    for (int i = 0; i < 5; i++) {
        ck_assert_msg(fabs(got[i] - want[i]) <= limit * scale,
                      "%s: %s, figure %d is %.8g, PyTorch has %.8g (norm %.3g)", name, key, i,
                      got[i], want[i], want[0]);
    }
}

#endif
