/* fingerprint.c - recognises the data of a run, without reading every image again. */
#include "train/checkpoint.h"

/* Images whose pixels are hashed, spread over each part. All labels and indices are. */
enum { IMAGE_PROBES = 32, CHUNK = 256 };

static uint64_t mix_in(uint64_t hash, const void *data, size_t size)
{
    return amun__hash64(data, size, hash);
}

static size_t entry_index(const amun__part *part, size_t entry)
{
    return part->indices != NULL ? (size_t)part->indices[entry] : entry;
}

/* Index and label of each entry, so that "all" and a list of all indices are the same. */
static uint64_t hash_entries(uint64_t hash, const amun__part *part, size_t count)
{
    int64_t chunk[2 * CHUNK];
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        size_t index = entry_index(part, i);
        chunk[used++] = (int64_t)index;
        chunk[used++] = part->target == AMUN__TARGET_FIXED
                            ? part->labels[i]
                            : amun__dataset_label(part->dataset, index);
        if (used == 2 * CHUNK || i + 1 == count) {
            hash = mix_in(hash, chunk, used * sizeof chunk[0]);
            used = 0;
        }
    }
    return hash;
}

static uint64_t hash_part(uint64_t hash, const amun__part *part, int64_t classes)
{
    amun__dataset_info info;
    amun__dataset_info_get(part->dataset, &info);
    size_t count = part->indices != NULL ? part->count : info.count;
    const int64_t head[] = {info.channels,  info.height,           info.width,
                            (int64_t)count, (int64_t)part->target, part->augment,
                            part->phase,    part->epochs,          part->repeat};
    hash = mix_in(hash, head, sizeof head);
    hash = mix_in(hash, &part->weight, sizeof part->weight);
    hash = hash_entries(hash, part, count);
    if (part->target == AMUN__TARGET_SOFT) {
        hash = mix_in(hash, part->soft, count * (size_t)classes * sizeof *part->soft);
    }
    size_t probes = count < IMAGE_PROBES ? count : IMAGE_PROBES;
    for (size_t i = 0; i < probes; i++) {
        /* first and last included; count - 1 < 2^48, so the product fits */
        size_t entry = probes > 1 ? i * (count - 1) / (probes - 1) : 0;
        uint64_t image = amun__dataset_hash(part->dataset, entry_index(part, entry));
        hash = mix_in(hash, &image, sizeof image);
    }
    return hash;
}

uint64_t amun__mix_fingerprint(const amun__mix *mix)
{
    const int64_t head[] = {(int64_t)mix->part_count, mix->classes, mix->shuffle};
    uint64_t hash = mix_in(0, head, sizeof head);
    for (size_t p = 0; p < mix->part_count; p++) {
        hash = hash_part(hash, &mix->parts[p], mix->classes);
    }
    return hash;
}
