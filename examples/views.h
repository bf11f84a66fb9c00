/* views.h - predictions from several views of an image, summed: the test-time augmentation of
 * Jordan (arXiv 2404.00498). */
#ifndef AMUN_EXAMPLES_VIEWS_H
#define AMUN_EXAMPLES_VIEWS_H

#include "common.h"

/* How many views: the image; with its mirror image; both moved by a pixel up and left, and down and
 * right, too. Moved views weigh half; edges are reflected. */
enum { EX_VIEW_ONE = 1, EX_VIEWS_MIRROR = 2, EX_VIEWS_SIX = 6 };
#define EX_VIEWS_CHOICES "1|2|6"

/* [out] logits [count, classes]: the weighted mean over the views. [in] images: dense
 * [count, shape[0], shape[1], shape[2]], of two pixels each way at least for six views. */
void ex_views_predict(const amun_model *model, const float *images, size_t count,
                      const int64_t shape[3], int views, float *logits, ex_progress *progress);

/* Share of rows whose largest logit stands at the label, in percent. */
double ex_accuracy(const float *logits, const int64_t *labels, size_t count, size_t classes);

/* Accuracies in percent on the test set, with two views and with six. */
void ex_views_accuracy(double *mirrored, double *six, const amun_model *model, const ex_data *data);

#endif
