/* attack.h - what later rooms use of the attack room: victims (one model, or several as one), jobs
 * (samples in, results out), and the data set in an adversarial set. Private. */
#ifndef AMUN__ATTACK_H
#define AMUN__ATTACK_H

#include "amun/attack.h"
#include "core/core.h"
#include "data/data.h"
#include "nn/nn.h"

/* ---- victims (victim.c) -----------------------------------------------------------------------
 */

/* What is attacked. One model: its logits. Several: the log of the mean of their softmax outputs,
 * which is a valid row of logits too (its softmax is the mean). Borrowed models. */
typedef struct amun__victim {
    const amun_model *const *models;
    size_t count;
} amun__victim;

/* 1 to 64 live models of the same input and classes; `what` names the list in messages. */
amun_status amun__victim_check(const amun__victim *victim, const char *what);
/* All models held for reading, or none. */
amun_status amun__victim_begin_read(const amun__victim *victim);
void amun__victim_end_read(const amun__victim *victim);
enum { AMUN__VICTIM_MAX = 64 };

/* One leased plan per model of a victim, for batches of up to `capacity`. Caller holds begin_read.
 */
typedef struct amun__probe {
    amun_context *ctx; /* of the arrays */
    const amun__victim *victim;
    amun__plan **plans; /* [victim->count] */
    amun__mode mode;
    size_t capacity, batch, pixels, classes;
    /* several models only */
    float *logits, *seed, *diff; /* [capacity][classes] x 2, [capacity][pixels] */
    double *log_probs;           /* [capacity][count][classes] */
} amun__probe;
amun_status amun__probe_open(amun__probe *probe, amun_context *ctx, const amun__victim *victim,
                             size_t capacity, amun__mode mode);
amun_status amun__probe_resize(amun__probe *probe, size_t batch); /* batch <= capacity */
/* Frees the plans; resize() before the next pass. */
void amun__probe_drop(amun__probe *probe);
/* images dense [batch][pixels], out [batch][classes]. */
amun_status amun__probe_forward(amun__probe *probe, const float *images, float *out);
/* After forward: from d loss / d out (double: the pull-back through the mean must not lose what the
 * seed knows) to d loss / d images. Attack mode. */
amun_status amun__probe_backward(amun__probe *probe, const double *seed, float *diff);
void amun__probe_close(amun__probe *probe); /* also a zeroed one, or after a failed open */

/* log of the mean of exp of `count` rows of log-probabilities [count][classes], without underflow:
 * out_k = logsumexp_i(l_ik) - log(count). */
void amun__log_mean(const double *log_probs, size_t count, size_t classes, float *out);
void amun__log_softmax(const float *logits, size_t classes, double *out);
/* seed [classes] on the log of the mean, to the seed on the logits of member i: with w_ik the share
 * of member i in the mean probability of class k, and p_i its softmax,
 * out_m = w_im seed_m - p_im sum_k w_ik seed_k. */
void amun__log_mean_backward(const double *log_probs, size_t count, size_t classes, size_t i,
                             const double *seed, float *out);

/* ---- jobs (job.c) ------------------------------------------------------------------------------
 */

/* Samples to attack, wherever they lie, and a place for each result. Callbacks run on the calling
 * thread; rows are fetched in ascending order but may be delivered in any. */
typedef struct amun__job {
    amun_context *ctx;
    amun__victim victim;
    size_t count, pixels, classes;
    const int32_t *labels;          /* [count] */
    const int64_t *ids;             /* [count]; NULL: row numbers */
    amun_attack_record *records;    /* [count], zeroed but for input_hash */
    int32_t table_wanted;           /* 0: nobody reads predicted and adversarial labels */
    amun__progress_state *progress; /* nullable */
    amun_status (*fetch)(const struct amun__job *job, size_t row, float *image);
    /* records[row] is complete when this runs. */
    amun_status (*deliver)(const struct amun__job *job, size_t row, const float *image);
    void *user;
    size_t flipped; /* so far */
} amun__job;

/* Checks labels and pixels, then runs the attack with the models held for reading. */
amun_status amun__job_run(amun__job *job, const amun_attack *attack);
/* Everything that amun_attack_run() does, on any victim whose models were checked. */
amun_status amun__attack_run(amun_attack *attack, const amun__victim *victim,
                             const amun_tensor_view *images, const amun_tensor_view *labels,
                             const int64_t *ids, const amun_tensor_view *adversarial,
                             amun_attack_record *records, const amun_call_options *call);

/* ---- steps (project.c): one sample, one thread --------------------------------------------------
 */

/* a <- clamp01(x + clamp(a + alpha * sign(g) - x, -eps, eps)). */
void amun__project_step_linf(float *a, const float *x, const float *g, double alpha, double eps,
                             size_t n);
/* a <- clamp01(x + d), each value of d uniform in the ball; keyed by (seed, id, draw). */
void amun__project_start_linf(float *a, const float *x, double eps, uint64_t seed, int64_t id,
                              uint32_t draw, size_t n);

/* ---- adversarial sets ---------------------------------------------------------------------------
 */

/* Borrowed data set of the found examples, labelled with their adversarial labels, in record
 * order; NULL if nothing was found. */
const amun_dataset *amun__advset_dataset(const amun_advset *set);
/* Failure policy that the set was built with. */
amun_failure_policy amun__advset_policy(const amun_advset *set);

#endif
