/* lipschitz.c - the product bound on a network's Lipschitz constant (Szegedy et al., arXiv
 * 1312.6199, section 4.3), for any graph: one pass in topological order. */
#include "spectral/lipschitz.h"

#include <float.h>

/* ---- arithmetic that rounds upwards --------------------------------------------------------- */

/* Arguments are >= 0 throughout. An exact result stays as it is: 2 * 2 is 4. */

static double up(double value)
{
    return nextafter(value, INFINITY);
}

static double up_mul(double a, double b)
{
    if (a == 0 || b == 0) { /* also where the other one has overflowed */
        return 0;
    }
    double p = a * b;
    bool below = p < DBL_MIN / DBL_EPSILON || fma(a, b, -p) > 0; /* tiny: the test would round */
    return isfinite(p) && below ? up(p) : p;
}

static double up_add(double a, double b)
{
    double large = fmax(a, b), small = fmin(a, b), s = large + small;
    return isfinite(s) && small - (s - large) > 0 ? up(s) : s;
}

static double up_sqrt(double a)
{
    double r = sqrt(a);
    bool below = a < DBL_MIN / DBL_EPSILON || fma(r, r, -a) < 0;
    return a > 0 && isfinite(r) && below ? up(r) : r;
}

static double up_inverse(double a)
{
    double q = 1 / a;
    return isfinite(q) && fma(q, a, -1) < 0 ? up(q) : q;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

/* How many windows of a pool an input can lie in. */
static double coverings(const amun__node *node)
{
    double count = 1;
    for (int i = 0; i < 2; i++) {
        count *= (double)((node->kernel[i] + node->stride[i] - 1) / node->stride[i]);
    }
    return count;
}

bool amun__lipschitz_needs_norm(const amun_graph *graph, int32_t index)
{
    const amun__node *node = &graph->nodes[index];
    switch (node->kind) {
    case AMUN__NODE_CONV2D:
    case AMUN__NODE_LINEAR:
    case AMUN__NODE_BATCHNORM:
        return true;
    case AMUN__NODE_AVG_POOL:
        return coverings(node) > 1;
    default:
        return false;
    }
}

static double normalise_factor(const amun__node *node)
{
    double least = INFINITY;
    for (int64_t c = 0; c < node->channels; c++) {
        least = fmin(least, node->std[c]);
    }
    return up_inverse(least);
}

double amun__lipschitz_factor(const amun_graph *graph, int32_t index, double norm)
{
    const amun__node *node = &graph->nodes[index];
    if (amun__lipschitz_needs_norm(graph, index)) {
        return norm;
    }
    switch (node->kind) {
    case AMUN__NODE_MAX_POOL: /* the maximum is 1-Lipschitz; each input counts once per window */
        return up_sqrt(coverings(node));
    case AMUN__NODE_AVG_POOL: /* disjoint windows: ||1/n ... 1/n|| = 1 / sqrt(n) */
        return up_sqrt(up_inverse((double)(node->kernel[0] * node->kernel[1])));
    case AMUN__NODE_SCALE:
        return fabs(node->factor);
    case AMUN__NODE_NORMALISE:
        return normalise_factor(node);
    default: /* ReLU, flatten, and each side of a sum or concatenation */
        return 1;
    }
}

/* What arrives at a node: ||a + b|| <= ||a|| + ||b||, ||(a, b)||^2 = ||a||^2 + ||b||^2. */
static double arriving(const amun__node *node, const double *per_node)
{
    double sum = 0;
    if (node->kind != AMUN__NODE_ADD && node->kind != AMUN__NODE_CONCAT) {
        return per_node[node->inputs[0]];
    }
    bool concat = node->kind == AMUN__NODE_CONCAT;
    for (int32_t i = 0; i < node->input_count; i++) {
        double part = per_node[node->inputs[i]];
        sum = up_add(sum, concat ? up_mul(part, part) : part);
    }
    return concat ? up_sqrt(sum) : sum;
}

static amun_status check_norms(const amun_graph *graph, const double *norms)
{
    for (int32_t i = 0; i < graph->node_count; i++) {
        if (amun__lipschitz_needs_norm(graph, i) && !(norms[i] >= 0 && isfinite(norms[i]))) {
            const char *name = graph->nodes[i].name;
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "the norm of node %d%s%s is %g, must be finite and not negative", i,
                              name != NULL ? " " : "", name != NULL ? name : "", norms[i]);
        }
    }
    return AMUN_OK;
}

amun_status amun__lipschitz_bound(double *bound, double *per_node, const amun_graph *graph,
                                  const double *norms)
{
    amun_context *ctx = graph->object.ctx;
    double *own = NULL, *at = per_node;
    AMUN__CHECK(check_norms(graph, norms));
    if (at == NULL) {
        AMUN__CHECK(amun__alloc(ctx, &own, (size_t)graph->node_count, sizeof *own));
        at = own;
    }
    at[0] = 1;
    for (int32_t i = 1; i < graph->node_count; i++) {
        at[i] = up_mul(arriving(&graph->nodes[i], at), amun__lipschitz_factor(graph, i, norms[i]));
    }
    *bound = at[graph->node_count - 1];
    amun__free(ctx, own);
    return AMUN_OK;
}
