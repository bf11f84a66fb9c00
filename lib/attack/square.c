/* square.c - Square attack (Andriushchenko et al., arXiv 1912.00049): random search on the margin
 * of the label, without gradients. Each query changes one square window of the best image so far,
 * all channels, and is kept if the margin falls.
 *
 * The draws of query t are keyed by (seed, sample id, t): they do not depend on what was kept
 * before, nor on the batch. */
#include "attack/attack_private.h"

enum { BEST, IMAGES };
/* Keeps the draws of this attack apart from the random starts of the others. */
static const uint32_t draw_base = 0x80000000u;

/* Share of the pixels that a query changes: halved at these queries of 10000. */
static const int32_t halvings[] = {10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000};

int32_t amun__square_side(double p_init, int32_t t, int32_t n, int64_t height, int64_t width)
{
    int64_t scaled = (int64_t)t * 10000 / n;
    double p = p_init;
    for (size_t i = 0; i < sizeof halvings / sizeof halvings[0]; i++) {
        p = scaled > halvings[i] ? p / 2.0 : p;
    }
    int64_t shorter = height < width ? height : width;
    double side = round(sqrt(p * (double)height * (double)width));
    double most = shorter > 1 ? (double)(shorter - 1) : 1.0;
    side = side > most ? most : side;
    return side < 1.0 ? 1 : (int32_t)side;
}

/* ---- Linf: windows of one colour per channel ------------------------------------------------- */

static double random_sign(amun__rng *rng)
{
    return (amun__rng_u32(rng) & 1u) != 0 ? 1.0 : -1.0;
}

/* Vertical stripes of width 1, each channel of each column at +eps or -eps. */
static void stripes(const amun__walk *walk, amun__slot *slot, amun__rng *rng)
{
    const amun_square_options *o = walk->options;
    for (int64_t c = 0; c < walk->channels; c++) {
        for (int64_t x = 0; x < walk->width; x++) {
            double d = random_sign(rng) * o->eps;
            for (int64_t y = 0; y < walk->height; y++) {
                int64_t k = (c * walk->height + y) * walk->width + x;
                slot->current[k] = amun__project_clamp01((double)slot->clean[k] + d);
            }
        }
    }
}

typedef struct window {
    int64_t row, column, side;
} window;

static window draw_window(const amun__walk *walk, amun__rng *rng, int32_t side)
{
    window w = {.side = side};
    w.row = (int64_t)amun__rng_below(rng, (uint32_t)(walk->height - side + 1));
    w.column = (int64_t)amun__rng_below(rng, (uint32_t)(walk->width - side + 1));
    return w;
}

/* The window at +eps or -eps per channel; false if that changed nothing. */
static bool paint(const amun__walk *walk, amun__slot *slot, amun__rng *rng, window w)
{
    const amun_square_options *o = walk->options;
    bool changed = false;
    for (int64_t c = 0; c < walk->channels; c++) {
        double d = random_sign(rng) * o->eps;
        for (int64_t y = w.row; y < w.row + w.side; y++) {
            for (int64_t x = w.column; x < w.column + w.side; x++) {
                int64_t k = (c * walk->height + y) * walk->width + x;
                float v = amun__project_clamp01((double)slot->clean[k] + d);
                changed = changed || v != slot->current[k];
                slot->current[k] = v;
            }
        }
    }
    return changed;
}

static void propose_linf(const amun__walk *walk, amun__slot *slot, amun__rng *rng, int32_t side)
{
    enum { TRIES = 10 }; /* a query on the same image would be wasted; eps 0 has no other */
    window w = draw_window(walk, rng, side);
    for (int32_t i = 0; i < TRIES && !paint(walk, slot, rng, w); i++) {
    }
}

/* ---- L2: mass moves from one window to another ------------------------------------------------
 */

/* A pyramid of squares around the middle of an h x w rectangle: sum of 1 / (k + 1)^2 over the rings
 * k that hold the pixel. */
static double bump(int64_t r, int64_t s, int64_t h, int64_t w)
{
    int64_t dr = r - h / 2, ds = s - w / 2;
    dr = dr < 0 ? -dr : dr;
    ds = ds < 0 ? -ds : ds;
    int64_t rings = h / 2 > w / 2 ? h / 2 : w / 2;
    double sum = 0.0;
    for (int64_t k = dr > ds ? dr : ds; k <= rings; k++) {
        sum += 1.0 / (double)((k + 1) * (k + 1));
    }
    return sum;
}

/* Two bumps of opposite sign side by side, or one above the other if `turned`. */
static double double_bump(int64_t r, int64_t s, int64_t side, bool turned)
{
    int64_t along = turned ? s : r, across = turned ? r : s, half = side / 2;
    return along < half ? bump(along, across, half, side)
                        : -bump(along - half, across, side - half, side);
}

static double bump_norm(int64_t side)
{
    double sum = 0.0;
    for (int64_t r = 0; r < side; r++) {
        for (int64_t s = 0; s < side; s++) {
            double v = double_bump(r, s, side, false);
            sum += v * v;
        }
    }
    return sqrt(sum);
}

/* Tiles over the whole image, a fifth of its height each, scaled to the radius. */
static void tiles(const amun__walk *walk, amun__slot *slot, amun__rng *rng)
{
    const amun_square_options *o = walk->options;
    int64_t shorter = walk->height < walk->width ? walk->height : walk->width;
    int64_t side = shorter / 5 > 1 ? shorter / 5 : 1;
    size_t n = walk->job->pixels;
    memset(slot->current, 0, n * sizeof(float));
    for (int64_t top = 0; top < walk->height; top += side) {
        for (int64_t left = 0; left < walk->width; left += side) {
            bool turned = (amun__rng_u32(rng) & 1u) != 0;
            for (int64_t c = 0; c < walk->channels; c++) {
                double sign = random_sign(rng);
                for (int64_t r = 0; r < side && top + r < walk->height; r++) {
                    for (int64_t s = 0; s < side && left + s < walk->width; s++) {
                        int64_t k = (c * walk->height + top + r) * walk->width + left + s;
                        slot->current[k] = (float)(sign * double_bump(r, s, side, turned));
                    }
                }
            }
        }
    }
    double norm = amun__project_norm(slot->current, n);
    for (size_t i = 0; i < n; i++) {
        double d = norm > 0.0 ? o->eps * (double)slot->current[i] / norm : 0.0;
        slot->current[i] = amun__project_clamp01((double)slot->clean[i] + d);
    }
}

static bool inside(window w, int64_t y, int64_t x)
{
    return y >= w.row && y < w.row + w.side && x >= w.column && x < w.column + w.side;
}

/* Squared norms of the perturbation of channel c: in w1, and in w1 or w2. */
static void window_norms(const amun__walk *walk, const amun__slot *slot, int64_t c, window w1,
                         window w2, double *first, double *both)
{
    *first = *both = 0.0;
    for (int64_t pass = 0; pass < 2; pass++) {
        window w = pass == 0 ? w1 : w2;
        for (int64_t y = w.row; y < w.row + w.side; y++) {
            for (int64_t x = w.column; x < w.column + w.side; x++) {
                int64_t k = (c * walk->height + y) * walk->width + x;
                double d = (double)slot->current[k] - (double)slot->clean[k];
                *first += pass == 0 ? d * d : 0.0;
                *both += pass == 0 || !inside(w1, y, x) ? d * d : 0.0;
            }
        }
    }
}

/* The new direction in w1: the bump plus the direction that is there, of norm 1 (k-th value). */
static double mixed(const amun__walk *walk, const amun__slot *slot, int64_t c, window w1, int64_t r,
                    int64_t s, double old_norm, double bump_scale, bool turned)
{
    int64_t k = (c * walk->height + w1.row + r) * walk->width + w1.column + s;
    double d = (double)slot->current[k] - (double)slot->clean[k];
    return bump_scale * double_bump(r, s, w1.side, turned) + (old_norm > 0.0 ? d / old_norm : 0.0);
}

/* Algorithm 3 of the paper for one channel, in place: what the channel may spend is what both
 * windows hold now and its share of what nobody uses. */
static void move_mass(const amun__walk *walk, amun__slot *slot, int64_t c, window w1, window w2,
                      double unused, double bump_scale, bool turned)
{
    double first, both, sum = 0.0;
    window_norms(walk, slot, c, w1, w2, &first, &both);
    double old_norm = sqrt(first);
    for (int64_t r = 0; r < w1.side; r++) {
        for (int64_t s = 0; s < w1.side; s++) {
            double v = mixed(walk, slot, c, w1, r, s, old_norm, bump_scale, turned);
            sum += v * v;
        }
    }
    double scale = sum > 0.0 ? sqrt((both + unused / (double)walk->channels) / sum) : 0.0;
    for (int64_t r = 0; r < w1.side; r++) {
        for (int64_t s = 0; s < w1.side; s++) {
            int64_t k = (c * walk->height + w1.row + r) * walk->width + w1.column + s;
            double v = mixed(walk, slot, c, w1, r, s, old_norm, bump_scale, turned);
            slot->current[k] = amun__project_clamp01((double)slot->clean[k] + scale * v);
        }
    }
    for (int64_t y = w2.row; y < w2.row + w2.side; y++) {
        for (int64_t x = w2.column; x < w2.column + w2.side; x++) {
            int64_t k = (c * walk->height + y) * walk->width + x;
            slot->current[k] = inside(w1, y, x) ? slot->current[k] : slot->clean[k];
        }
    }
}

static void propose_l2(const amun__walk *walk, amun__slot *slot, amun__rng *rng, int32_t side)
{
    const amun_square_options *o = walk->options;
    size_t n = walk->job->pixels;
    window w1 = draw_window(walk, rng, side), w2 = draw_window(walk, rng, side);
    bool turned = (amun__rng_u32(rng) & 1u) != 0;
    double used = amun__project_distance(slot->current, slot->clean, n);
    double unused = o->eps * o->eps - used * used;
    double norm = bump_norm(side);
    for (int64_t c = 0; c < walk->channels; c++) {
        double sign = random_sign(rng);
        move_mass(walk, slot, c, w1, w2, unused > 0.0 ? unused : 0.0, sign / norm, turned);
    }
    /* rounding to float may leave the ball by a hair */
    double distance = amun__project_distance(slot->current, slot->clean, n);
    for (size_t i = 0; i < n && distance > o->eps; i++) {
        double d = (double)slot->current[i] - (double)slot->clean[i];
        slot->current[i] = amun__project_clamp01((double)slot->clean[i] + d * (o->eps / distance));
    }
}

/* ---- the search -------------------------------------------------------------------------------
 */

static void propose(const amun__walk *walk, amun__slot *slot)
{
    const amun_square_options *o = walk->options;
    amun__square_state *s = &slot->state.square;
    amun__rng rng;
    amun__rng_open(&rng, o->seed, AMUN__RNG_ATTACK, draw_base | (uint32_t)s->query,
                   (uint64_t)amun__job_id(walk->job, slot->row));
    bool l2 = o->norm == AMUN_NORM_L2;
    if (s->query == 0) {
        if (l2) {
            tiles(walk, slot, &rng);
        } else {
            stripes(walk, slot, &rng);
        }
    } else {
        int32_t side =
            amun__square_side(o->p_init, s->query - 1, o->queries, walk->height, walk->width);
        memcpy(slot->current, slot->extra[BEST], walk->job->pixels * sizeof(float));
        if (l2) {
            propose_l2(walk, slot, &rng, side);
        } else {
            propose_linf(walk, slot, &rng, side);
        }
    }
    s->query++;
    slot->result.updates++;
}

static void judge(const amun__walk *walk, amun__slot *slot)
{
    const amun_square_options *o = walk->options;
    amun__square_state *s = &slot->state.square;
    const amun__objective what = {.kind = AMUN__OBJECTIVE_MARGIN};
    size_t bytes = walk->job->pixels * sizeof(float);
    if (slot->result.adversarial != slot->label) {
        amun__slot_finish(slot, AMUN_ATTACK_FLIPPED);
        return;
    }
    if (slot->seen) {
        double margin =
            -amun__objective_value(&what, slot->logits, walk->job->classes, slot->label, NULL);
        if (s->query == 1 || margin < s->best) {
            s->best = margin;
            memcpy(slot->extra[BEST], slot->current, bytes);
        }
    }
    if (s->query == o->queries) {
        memcpy(slot->current, slot->extra[BEST], bytes);
        slot->result.adversarial = slot->label;
        amun__slot_finish(slot, AMUN_ATTACK_NOT_FLIPPED);
        return;
    }
    propose(walk, slot);
}

amun_status amun__square_run(amun__job *job, const amun_square_options *options)
{
    amun__walk walk = {.options = options,
                       .mode = AMUN__MODE_INFER,
                       .batch = (size_t)options->batch,
                       .images = IMAGES,
                       .judge = judge,
                       .eps = options->eps,
                       .job = job};
    return amun__walk_run(&walk);
}
