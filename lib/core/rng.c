/* rng.c - Philox4x32-10 streams, MT19937 for published index lists, and a byte hash.
 *
 * Philox: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 * MT19937: Matsumoto and Nishimura, ACM TOMACS 8(1), 1998, seeding of 2002 (init_genrand). */
#include "core/core.h"

static void multiply(uint32_t a, uint32_t b, uint32_t *high, uint32_t *low)
{
    uint64_t product = (uint64_t)a * b;
    *high = (uint32_t)(product >> 32);
    *low = (uint32_t)product;
}

void amun__philox4x32_10(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int32_t round = 0; round < 10; round++) {
        uint32_t high0, low0, high1, low1;
        multiply(0xd2511f53u, c0, &high0, &low0);
        multiply(0xcd9e8d57u, c2, &high1, &low1);
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9e3779b9u; /* golden ratio */
        k1 += 0xbb67ae85u; /* sqrt(3) - 1 */
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void amun__rng_open(amun__rng *rng, uint64_t seed, amun__purpose purpose, uint32_t epoch,
                    uint64_t sample)
{
    memset(rng, 0, sizeof *rng);
    /* The generator itself turns (seed, purpose) into a key, so that neighbouring seeds with other
     * purposes do not meet. 'a','m','u','n' keeps this apart from every stream's own counters. */
    const uint32_t seed_key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t purpose_counter[4] = {(uint32_t)purpose, 0, 0, 0x616d756eu};
    uint32_t mixed[4];
    amun__philox4x32_10(seed_key, purpose_counter, mixed);
    rng->key[0] = mixed[0];
    rng->key[1] = mixed[1];
    rng->counter[1] = epoch;
    rng->counter[2] = (uint32_t)sample;
    rng->counter[3] = (uint32_t)(sample >> 32);
    rng->used = 4;
}

uint32_t amun__rng_u32(amun__rng *rng)
{
    if (rng->used == 4) {
        amun__philox4x32_10(rng->key, rng->counter, rng->block);
        rng->counter[0]++; /* 2^34 draws per stream; none of ours comes near */
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

static double uniform53(uint32_t a, uint32_t b)
{
    return ((double)(a >> 5) * 67108864.0 + (double)(b >> 6)) / 9007199254740992.0;
}

double amun__rng_uniform(amun__rng *rng)
{
    uint32_t a = amun__rng_u32(rng);
    uint32_t b = amun__rng_u32(rng);
    return uniform53(a, b);
}

/* Lemire, "Fast random integer generation in an interval", ACM TOMACS 29(1), 2019. */
uint32_t amun__rng_below(amun__rng *rng, uint32_t n)
{
    if (n == 0) {
        return 0;
    }
    uint64_t product = (uint64_t)amun__rng_u32(rng) * n;
    if ((uint32_t)product < n) {
        uint32_t threshold = (0u - n) % n; /* 2^32 mod n */
        while ((uint32_t)product < threshold) {
            product = (uint64_t)amun__rng_u32(rng) * n;
        }
    }
    return (uint32_t)(product >> 32);
}

/* Box-Muller: two normals per pair of uniforms, the second kept for the next call. */
double amun__rng_normal(amun__rng *rng)
{
    if (rng->has_normal) {
        rng->has_normal = 0;
        return rng->normal;
    }
    double radius = sqrt(-2.0 * log(1.0 - amun__rng_uniform(rng))); /* 1 - u is never 0 */
    double angle = 6.283185307179586476925 * amun__rng_uniform(rng);
    rng->normal = radius * sin(angle);
    rng->has_normal = 1;
    return radius * cos(angle);
}

/* Smallest 2^k - 1 that is >= max. */
static uint64_t mask_for(uint64_t max)
{
    uint64_t mask = max;
    for (int32_t shift = 1; shift < 64; shift *= 2) {
        mask |= mask >> shift;
    }
    return mask;
}

static uint64_t below64(amun__rng *rng, uint64_t n)
{
    if (n <= UINT32_MAX) {
        return amun__rng_below(rng, (uint32_t)n);
    }
    uint64_t mask = mask_for(n - 1), value;
    do {
        uint64_t high = amun__rng_u32(rng);
        value = (high << 32 | amun__rng_u32(rng)) & mask;
    } while (value >= n);
    return value;
}

void amun__rng_shuffle(amun__rng *rng, int64_t *values, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)below64(rng, i);
        int64_t kept = values[i - 1];
        values[i - 1] = values[j];
        values[j] = kept;
    }
}

void amun__mt19937_seed(amun__mt19937 *mt, uint32_t seed)
{
    mt->state[0] = seed;
    for (uint32_t i = 1; i < 624; i++) {
        uint32_t before = mt->state[i - 1];
        mt->state[i] = 1812433253u * (before ^ (before >> 30)) + i;
    }
    mt->index = 624;
}

static void mt19937_refill(amun__mt19937 *mt)
{
    uint32_t *state = mt->state;
    for (int32_t i = 0; i < 624; i++) {
        uint32_t y = (state[i] & 0x80000000u) | (state[(i + 1) % 624] & 0x7fffffffu);
        state[i] = state[(i + 397) % 624] ^ (y >> 1) ^ ((y & 1u) != 0 ? 0x9908b0dfu : 0u);
    }
    mt->index = 0;
}

uint32_t amun__mt19937_u32(amun__mt19937 *mt)
{
    if (mt->index >= 624) {
        mt19937_refill(mt);
    }
    uint32_t y = mt->state[mt->index++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

double amun__mt19937_uniform(amun__mt19937 *mt)
{
    uint32_t a = amun__mt19937_u32(mt);
    uint32_t b = amun__mt19937_u32(mt);
    return uniform53(a, b);
}

void amun__mt19937_permutation(amun__mt19937 *mt, int64_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (int64_t)i;
    }
    for (size_t i = n; i-- > 1;) {
        uint64_t mask = mask_for(i), j;
        do {
            j = amun__mt19937_u32(mt);
            if (i > UINT32_MAX) { /* NumPy: the first draw is the high half */
                j = j << 32 | amun__mt19937_u32(mt);
            }
            j &= mask;
        } while (j > i);
        int64_t kept = out[i];
        out[i] = out[j];
        out[j] = kept;
    }
}

uint64_t amun__hash64(const void *data, size_t size, uint64_t seed)
{
    const unsigned char *bytes = data;
    uint64_t hash = 0xcbf29ce484222325u ^ seed;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    return hash;
}
