/* Random numbers against published vectors, NumPy's values, and statistics. */
#include <stdlib.h>

#include "support.h"

/* Known-answer tests of the Random123 distribution (kat_vectors, philox4x32 10). */
START_TEST(test_philox_vectors)
{
    static const struct {
        uint32_t key[2], counter[4], expected[4];
    } all[] = {
        {{0, 0}, {0, 0, 0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0xa4093822, 0x299f31d0},
         {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < 3; i++) {
        uint32_t out[4];
        amun__philox4x32_10(all[i].key, all[i].counter, out);
        for (size_t j = 0; j < 4; j++) {
            ck_assert_uint_eq(out[j], all[i].expected[j]);
        }
    }
}
END_TEST

/* A stream is philox(key, {block, epoch, sample}) read in order; the key is philox of the seed. */
START_TEST(test_stream_layout)
{
    const uint64_t seed = 0x1122334455667788u, sample = 0x99aabbccddeeff01u;
    const uint32_t seed_key[2] = {0x55667788u, 0x11223344u};
    const uint32_t purpose[4] = {AMUN__RNG_ATTACK, 0, 0, 0x616d756eu};
    uint32_t key[4];
    amun__philox4x32_10(seed_key, purpose, key);
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_ATTACK, 7, sample);
    for (uint32_t block = 0; block < 3; block++) {
        const uint32_t counter[4] = {block, 7, 0xddeeff01u, 0x99aabbccu};
        uint32_t expected[4];
        amun__philox4x32_10(key, counter, expected);
        for (size_t j = 0; j < 4; j++) {
            ck_assert_uint_eq(amun__rng_u32(&rng), expected[j]);
        }
    }
}
END_TEST

/* Each part of the key opens another stream; opening again gives the same. */
START_TEST(test_streams_differ)
{
    static const struct {
        uint64_t seed;
        amun__purpose purpose;
        uint32_t epoch;
        uint64_t sample;
    } keys[] = {
        {0, AMUN__RNG_INIT, 0, 0},
        {1, AMUN__RNG_INIT, 0, 0},
        {0, AMUN__RNG_SHUFFLE, 0, 0},
        {0, AMUN__RNG_INIT, 1, 0},
        {0, AMUN__RNG_INIT, 0, 1},
        {(uint64_t)1 << 32, AMUN__RNG_INIT, 0, 0},
        {0, AMUN__RNG_INIT, 0, (uint64_t)1 << 32},
    };
    enum { N = sizeof keys / sizeof keys[0] };
    uint32_t first[N];
    for (size_t i = 0; i < N; i++) {
        amun__rng rng, again;
        amun__rng_open(&rng, keys[i].seed, keys[i].purpose, keys[i].epoch, keys[i].sample);
        amun__rng_open(&again, keys[i].seed, keys[i].purpose, keys[i].epoch, keys[i].sample);
        first[i] = amun__rng_u32(&rng);
        ck_assert_uint_eq(first[i], amun__rng_u32(&again));
        for (size_t j = 0; j < i; j++) {
            ck_assert_uint_ne(first[i], first[j]);
        }
    }
}
END_TEST

/* Moments of 200,000 draws; bounds are five standard errors. */
START_TEST(test_uniform_and_normal)
{
    enum { N = 200000 };
    amun__rng rng;
    amun__rng_open(&rng, 3, AMUN__RNG_TEST, 0, 0);
    double sum = 0, squares = 0, smallest = 1, largest = 0;
    for (size_t i = 0; i < N; i++) {
        double u = amun__rng_uniform(&rng);
        ck_assert(u >= 0.0 && u < 1.0);
        sum += u;
        squares += u * u;
        smallest = fmin(smallest, u);
        largest = fmax(largest, u);
    }
    ck_assert_double_lt(fabs(sum / N - 0.5), 5 * 0.2887 / sqrt(N));
    ck_assert_double_lt(fabs(squares / N - 1.0 / 3), 5 * 0.2981 / sqrt(N));
    ck_assert(smallest < 1e-3 && largest > 0.999);
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0, lag = 0, before = 0;
    for (size_t i = 0; i < N; i++) {
        double z = amun__rng_normal(&rng);
        ck_assert(isfinite(z));
        m1 += z;
        m2 += z * z;
        m3 += z * z * z;
        m4 += z * z * z * z;
        lag += z * before; /* the two of a pair must not depend on each other */
        before = z;
    }
    ck_assert_double_lt(fabs(m1 / N), 5 / sqrt(N));
    ck_assert_double_lt(fabs(m2 / N - 1), 5 * sqrt(2.0) / sqrt(N));
    ck_assert_double_lt(fabs(m3 / N), 5 * sqrt(15.0) / sqrt(N));
    ck_assert_double_lt(fabs(m4 / N - 3), 5 * sqrt(96.0) / sqrt(N));
    ck_assert_double_lt(fabs(lag / N), 5 / sqrt(N));
}
END_TEST

START_TEST(test_below)
{
    amun__rng rng;
    amun__rng_open(&rng, 4, AMUN__RNG_TEST, 0, 0);
    ck_assert_uint_eq(amun__rng_below(&rng, 0), 0);
    ck_assert_uint_eq(amun__rng_below(&rng, 1), 0);
    enum { N = 70000 };
    int32_t counts[7] = {0};
    for (int32_t i = 0; i < N; i++) {
        uint32_t value = amun__rng_below(&rng, 7);
        ck_assert_uint_lt(value, 7);
        counts[value]++;
    }
    double chi = 0;
    for (size_t i = 0; i < 7; i++) {
        chi += (counts[i] - N / 7.0) * (counts[i] - N / 7.0) / (N / 7.0);
    }
    ck_assert_double_lt(chi, 22.46); /* 6 degrees of freedom, p = 0.001 */
    /* 3 * 2^30: without rejection the multiples of three would come twice as often */
    const uint32_t n = 3u << 30;
    int32_t residues[3] = {0};
    for (int32_t i = 0; i < 60000; i++) {
        uint32_t value = amun__rng_below(&rng, n);
        ck_assert_uint_lt(value, n);
        residues[value % 3]++;
    }
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_lt(abs(residues[i] - 20000), 5 * 115);
    }
}
END_TEST

/* All 24 orders of four values, equally often. */
START_TEST(test_shuffle)
{
    enum { N = 24000 };
    int32_t counts[256] = {0};
    for (uint64_t i = 0; i < N; i++) {
        amun__rng rng;
        amun__rng_open(&rng, 5, AMUN__RNG_SHUFFLE, 0, i);
        int64_t v[4] = {0, 1, 2, 3};
        amun__rng_shuffle(&rng, v, 4);
        ck_assert_int_eq((1 << v[0]) | (1 << v[1]) | (1 << v[2]) | (1 << v[3]), 15);
        counts[v[0] | v[1] << 2 | v[2] << 4 | v[3] << 6]++;
    }
    double chi = 0;
    int32_t orders = 0;
    for (size_t i = 0; i < 256; i++) {
        if (counts[i] > 0) {
            orders++;
            chi += (counts[i] - N / 24.0) * (counts[i] - N / 24.0) / (N / 24.0);
        }
    }
    ck_assert_int_eq(orders, 24);
    ck_assert_double_lt(chi, 49.73); /* 23 degrees of freedom, p = 0.001 */
    amun__rng rng;
    amun__rng_open(&rng, 5, AMUN__RNG_SHUFFLE, 0, 0);
    amun__rng_shuffle(&rng, NULL, 0);
}
END_TEST

/* The reference output of mt19937ar for seed 5489, and NumPy's doubles for seed 1. */
START_TEST(test_mt19937_vectors)
{
    amun__mt19937 mt;
    amun__mt19937_seed(&mt, 5489);
    ck_assert_uint_eq(amun__mt19937_u32(&mt), 3499211612u);
    ck_assert_uint_eq(amun__mt19937_u32(&mt), 581869302u);
    ck_assert_uint_eq(amun__mt19937_u32(&mt), 3890346734u);
    for (size_t i = 3; i < 999; i++) {
        amun__mt19937_u32(&mt);
    }
    ck_assert_uint_eq(amun__mt19937_u32(&mt), 1341017984u);
    for (size_t i = 1000; i < 9999; i++) {
        amun__mt19937_u32(&mt);
    }
    ck_assert_uint_eq(amun__mt19937_u32(&mt), 4123659995u); /* C++ standard, [rand.predef] */
    amun__mt19937_seed(&mt, 1);
    ck_assert(amun__mt19937_uniform(&mt) == 0.417022004702574);
    ck_assert(amun__mt19937_uniform(&mt) == 0.7203244934421581);
}
END_TEST

/* numpy.random.RandomState(7).permutation(12), then of 1, 0 and 5 from the same state. */
START_TEST(test_numpy_permutation)
{
    static const int64_t twelve[] = {7, 10, 2, 5, 0, 1, 11, 8, 3, 6, 9, 4};
    static const int64_t five[] = {1, 3, 4, 0, 2};
    int64_t out[12];
    amun__mt19937 mt;
    amun__mt19937_seed(&mt, 7);
    amun__mt19937_permutation(&mt, out, 12);
    for (size_t i = 0; i < 12; i++) {
        ck_assert_int_eq(out[i], twelve[i]);
    }
    amun__mt19937_permutation(&mt, out, 1);
    ck_assert_int_eq(out[0], 0);
    amun__mt19937_permutation(&mt, out, 0);
    amun__mt19937_permutation(&mt, out, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(out[i], five[i]);
    }
}
END_TEST

/* The forget sets of the AMUN paper's experiments: the first n of a permutation of 0..49999. */
START_TEST(test_published_forget_sets)
{
    static const struct {
        uint32_t seed;
        int64_t first[6], sum5000, sum25000;
    } all[] = {
        {1, {26247, 35067, 34590, 16668, 12196, 2600}, 122592196, 622934218},
        {10, {27632, 36119, 4796, 3648, 24501, 37885}, 124275317, 624704966},
        {100, {4253, 30076, 48047, 1666, 30740, 13830}, 124360762, 625778469},
    };
    static int64_t out[50000];
    for (size_t i = 0; i < 3; i++) {
        amun__mt19937 mt;
        amun__mt19937_seed(&mt, all[i].seed);
        amun__mt19937_permutation(&mt, out, 50000);
        int64_t sum = 0;
        for (size_t j = 0; j < 50000; j++) {
            if (j < 6) {
                ck_assert_int_eq(out[j], all[i].first[j]);
            }
            sum += out[j];
            if (j == 4999) {
                ck_assert_int_eq(sum, all[i].sum5000);
            } else if (j == 24999) {
                ck_assert_int_eq(sum, all[i].sum25000);
            }
        }
        ck_assert_int_eq(sum, (int64_t)50000 * 49999 / 2);
    }
}
END_TEST

/* FNV-1a test vectors (Fowler, Noll, Vo), and the seed. */
START_TEST(test_hash)
{
    ck_assert_uint_eq(amun__hash64("", 0, 0), 0xcbf29ce484222325u);
    ck_assert_uint_eq(amun__hash64("a", 1, 0), 0xaf63dc4c8601ec8cu);
    ck_assert_uint_eq(amun__hash64("foobar", 6, 0), 0x85944171f73967e8u);
    ck_assert_uint_ne(amun__hash64("a", 1, 1), amun__hash64("a", 1, 0));
    ck_assert_uint_ne(amun__hash64("a\0", 2, 0), amun__hash64("a", 1, 0));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("rng");
    tcase_add_test(tc, test_philox_vectors);
    tcase_add_test(tc, test_stream_layout);
    tcase_add_test(tc, test_streams_differ);
    tcase_add_test(tc, test_uniform_and_normal);
    tcase_add_test(tc, test_below);
    tcase_add_test(tc, test_shuffle);
    tcase_add_test(tc, test_mt19937_vectors);
    tcase_add_test(tc, test_numpy_permutation);
    tcase_add_test(tc, test_published_forget_sets);
    tcase_add_test(tc, test_hash);
    return amun_test_main("core_rng", (TCase *[]){tc, NULL});
}
