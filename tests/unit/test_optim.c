/* SGD and Adam: values made with PyTorch, freezing, the penalty, and independence of threads. */
#include <stdlib.h>

#include "nn/nn.h"
#include "support.h"

/* w = [1, -2, 0.5, 0], the gradient of step k is [0.1, -0.2, 0.3, 0.4] * (k + 1); lr 0.1, momentum
 * 0.9, weight decay 5e-4; three steps of torch.optim.SGD in float64. */
START_TEST(test_torch_values)
{
    const struct {
        int32_t nesterov;
        double momentum, want[4];
    } cases[] = {
        {0, 0.9, {0.9046224120, -1.8092448239, 0.2145684559, -0.3803884001}},
        {1, 0.9, {0.8540163436, -1.7080326872, 0.0630550689, -0.5823249647}},
        {0, 0, {0.9398520075, -1.8797040149, 0.3199310037, -0.2399920001}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        float w[4] = {1, -2, 0.5f, 0}, v[4] = {NAN, NAN, NAN, NAN};
        for (int k = 0; k < 3; k++) {
            float g = (float)(k + 1);
            float d[4] = {0.1f * g, -0.2f * g, 0.3f * g, 0.4f * g};
            amun__sgd sgd = {.lr = 0.1,
                             .momentum = cases[c].momentum,
                             .weight_decay = 5e-4,
                             .nesterov = cases[c].nesterov,
                             .first = k == 0};
            amun__sgd_step(&sgd, w, cases[c].momentum > 0 ? v : NULL, d, 4);
        }
        for (int i = 0; i < 4; i++) {
            ck_close((double)w[i], cases[c].want[i], 3e-7);
        }
    }
}
END_TEST

/* The same w; gradients [0.1, -0.2, 0.3, 0.4] times 1, -2, 3; three steps of torch.optim.Adam
 * (1.13) in float64. */
START_TEST(test_adam_torch_values)
{
    const struct {
        double beta1, want[4];
    } cases[] = {
        {0.9, {0.9018222555, -1.9018109507, 0.4022126919, -0.0977081200}},
        {0.5, {0.9033159532, -1.9033050108, 0.4036697086, -0.0962584829}},
    };
    const float factors[3] = {1, -2, 3};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        float w[4] = {1, -2, 0.5f, 0}, m[4] = {0}, v[4] = {0};
        for (int k = 0; k < 3; k++) {
            float g = factors[k], d[4] = {0.1f * g, -0.2f * g, 0.3f * g, 0.4f * g};
            amun__adam adam = {
                .lr = 0.1, .beta1 = cases[c].beta1, .weight_decay = 5e-4, .step = k + 1};
            amun__adam_step(&adam, w, m, v, d, 4);
        }
        for (int i = 0; i < 4; i++) {
            ck_close((double)w[i], cases[c].want[i], 1e-6);
        }
    }
}
END_TEST

/* A frozen weight keeps its moments, whatever its gradient; the penalty is part of the gradient. */
START_TEST(test_adam_mask_and_l1)
{
    const uint8_t mask[3] = {1, 0, 7};
    float w[3] = {1, -2, -0.5f}, m[3] = {0, 0.25f, 0}, v[3] = {0, 0.5f, 0};
    amun__adam adam = {.lr = 0.1, .beta1 = 0.9, .l1 = 0.5, .step = 1, .mask = mask};
    amun__adam_step(&adam, w, m, v, (float[]){0, NAN, 0}, 3);
    ck_assert(w[1] == -2.0f && m[1] == 0.25f && v[1] == 0.5f);
    ck_close((double)w[0], 0.9, 1e-6); /* the first step has the length lr */
    ck_close((double)w[2], -0.4, 1e-6);
    ck_close((double)m[0], 0.05, 1e-7);
    ck_close((double)v[2], 0.00025, 1e-9);
}
END_TEST

START_TEST(test_mask_freezes)
{
    const uint8_t mask[4] = {1, 0, 255, 0};
    float w[4] = {1, -2, 0.5f, 0.25f}, v[4] = {7, 7, 7, 7};
    amun__sgd sgd = {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .first = 1, .mask = mask};
    amun__sgd_step(&sgd, w, v, (float[]){1, NAN, 1, 1}, 4);
    ck_assert(w[1] == -2.0f && w[3] == 0.25f); /* neither gradient nor decay */
    ck_assert(v[1] == 0.0f && v[3] == 0.0f);
    ck_close((double)w[0], 1 - 0.1 * 1.01, 1e-7);
    v[1] = 3;
    sgd.first = 0;
    amun__sgd_step(&sgd, w, v, (float[]){1, 1, 1, 1}, 4);
    ck_assert(w[1] == -2.0f && v[1] == 3.0f && v[3] == 0.0f); /* no decay of the velocity either */
    float plain[2] = {1, 1};
    amun__sgd_step(&sgd, plain, NULL, (float[]){1, 1}, 2);
    ck_assert(plain[0] < 1.0f && plain[1] == 1.0f);
}
END_TEST

START_TEST(test_l1)
{
    float w[3] = {2, -2, 0}, v[3];
    amun__sgd sgd = {.lr = 0.5, .l1 = 0.25, .first = 1};
    amun__sgd_step(&sgd, w, v, (float[]){0, 0, 0}, 3);
    ck_assert(w[0] == 1.875f && w[1] == -1.875f && w[2] == 0.0f); /* sign(0) = 0 */
    sgd.momentum = 0.5;
    sgd.first = 0;
    amun__sgd_step(&sgd, w, v, (float[]){0, 0, 0}, 3);
    ck_assert(v[0] == 0.375f && v[1] == -0.375f && v[2] == 0.0f);
    float plain[1] = {-2};
    amun__sgd_step(&sgd, plain, NULL, (float[]){0}, 1);
    ck_assert(plain[0] == -1.875f);
}
END_TEST

/* Specialised loops and the general one (a mask of ones) give the same bits; so does one scalar
 * at a time, which is what a single thread would do. Nothing past the end is touched. */
START_TEST(test_same_bits)
{
    enum { N = 40001 };
    float *w[3], *v[3], *d = malloc(N * sizeof(float));
    uint8_t *ones = malloc(N);
    memset(ones, 1, N);
    amun__rng rng;
    amun__rng_open(&rng, 8, AMUN__RNG_TEST, 0, 0);
    for (int c = 0; c < 3; c++) {
        w[c] = malloc((N + 1) * sizeof(float));
        v[c] = malloc((N + 1) * sizeof(float));
        w[c][N] = v[c][N] = 42;
    }
    for (int i = 0; i < N; i++) {
        w[0][i] = w[1][i] = w[2][i] = (float)amun__rng_normal(&rng);
    }
    for (int step = 0; step < 4; step++) {
        for (int i = 0; i < N; i++) {
            d[i] = (float)amun__rng_normal(&rng);
        }
        amun__sgd sgd = {.lr = 0.07,
                         .momentum = 0.9,
                         .weight_decay = 5e-4,
                         .nesterov = step % 2,
                         .first = step == 0};
        amun__sgd_step(&sgd, w[0], v[0], d, N);
        for (int i = 0; i < N; i++) {
            amun__sgd_step(&sgd, w[1] + i, v[1] + i, d + i, 1);
        }
        sgd.mask = ones;
        amun__sgd_step(&sgd, w[2], v[2], d, N);
        for (int c = 1; c < 3; c++) {
            ck_assert(memcmp(w[0], w[c], (N + 1) * sizeof(float)) == 0);
            ck_assert(memcmp(v[0], v[c], (N + 1) * sizeof(float)) == 0);
        }
    }
    ck_assert(w[0][N] == 42.0f && v[0][N] == 42.0f);
    for (int c = 0; c < 3; c++) {
        free(w[c]);
        free(v[c]);
    }
    free(d);
    free(ones);
    amun__sgd none = {.lr = 1};
    amun__sgd_step(&none, NULL, NULL, NULL, 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("optim");
    tcase_add_test(tc, test_torch_values);
    tcase_add_test(tc, test_adam_torch_values);
    tcase_add_test(tc, test_adam_mask_and_l1);
    tcase_add_test(tc, test_mask_freezes);
    tcase_add_test(tc, test_l1);
    tcase_add_test(tc, test_same_bits);
    return amun_test_main("optim", (TCase *[]){tc, NULL});
}
