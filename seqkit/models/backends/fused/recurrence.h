/* What loops over time in C share: numbers and functions of them, threads, layer normalisation. For recurrence.c and for
   the steps that seqkit writes in C; REAL is float, or double with -DDOUBLE. B batch, H hidden, G all gates. */

#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef DOUBLE
typedef double REAL;
typedef int64_t BITS;
enum { TERMS = 14, MANTISSA = 52, BIAS = 1023 };
#define RINT __builtin_rint
static const REAL LIMIT = 708, LN2_HIGH = 6.93147180369123816490e-1, LN2_LOW = 1.90821492927058770002e-10;
#else
typedef float REAL;
typedef int32_t BITS;
enum { TERMS = 7, MANTISSA = 23, BIAS = 127 };
#define RINT __builtin_rintf
static const REAL LIMIT = 87, LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;
#endif

#define INLINE static inline __attribute__((always_inline))
#define restrict __restrict__

static const REAL INVERSE_FACTORIAL[] = {
    1, 1, 1. / 2, 1. / 6, 1. / 24, 1. / 120, 1. / 720, 1. / 5040, 1. / 40320, 1. / 362880, 1. / 3628800, 1. / 39916800,
    1. / 479001600, 1. / 6227020800, 1. / 87178291200};

/* exp(x) - 1, accurate near 0 too: x = n ln 2 + r, the Taylor series of r, and 2^n put together from its bits. */
INLINE REAL expm1_(REAL x) {
    x = x < -LIMIT ? -LIMIT : x > LIMIT ? LIMIT : x; /* NaN stays NaN */
    REAL n = RINT(x * (REAL)1.4426950408889634);
    REAL r = (x - n * LN2_HIGH) - n * LN2_LOW, series = INVERSE_FACTORIAL[TERMS], scale;
#pragma GCC unroll 16
    for (int k = TERMS - 1; k > 0; k--) series = INVERSE_FACTORIAL[k] + r * series;
    BITS bits = ((BITS)n + BIAS) << MANTISSA;
    memcpy(&scale, &bits, sizeof scale);
    return scale * (r * series) + (scale - 1);
}

INLINE REAL sigmoid(REAL x) { return 1 / (2 + expm1_(-x)); }

INLINE REAL tanh_(REAL x) {
    REAL e = expm1_(2 * (x < -20 ? -20 : x > 20 ? 20 : x));
    return e / (e + 2);
}

/* Vectors, and the panels of columns that a packed matrix consists of; see recurrence.c. */

#if defined __AVX512F__
enum { BYTES = 64, BLOCK = 12 };
#elif defined __AVX__
enum { BYTES = 32, BLOCK = 6 };
#else
enum { BYTES = 16, BLOCK = 6 };
#endif
typedef REAL vector __attribute__((vector_size(BYTES)));
typedef REAL unaligned __attribute__((vector_size(BYTES), aligned(sizeof(REAL)), may_alias));
enum { LANES = BYTES / sizeof(REAL), PANEL = 2 * LANES };

INLINE int panels_of(int H) { return (H + PANEL - 1) / PANEL; }
INLINE int least(int a, int b) { return a < b ? a : b; }

/* See `multiply` in recurrence.c. */
typedef void Multiply(int rows, int gates, int H, int k, const REAL *in, const REAL *packed, int first, int last,
                      int add, int step, REAL *out);

/* ---- Threads, in groups of rows times groups of units. */

enum { SHORT = 1 << 16 }; /* products in a step of a thread, under which waiting for the others costs more than it saves */

typedef struct {
    int rows, units;
} Groups;

static Groups groups_of(int threads, int B, int H, int G) {
    Groups best = {1, 1};
    int64_t least_work = INT64_MAX;
    for (int units = 1; units <= least(threads, panels_of(H)); units++) {
        int rows = least(threads / units, B > 0 ? B : 1);
        int64_t work = (int64_t)((B + rows - 1) / rows) * ((panels_of(H) + units - 1) / units);
        if (units > 1 && work * PANEL * G < SHORT) break;
        if (work < least_work) least_work = work, best = (Groups){rows, units};
    }
    return best;
}

/* The rows, and the panels of units, of a thread; `wait` if others have other units of the same rows. */
typedef struct {
    int row, rows, first, last, unit, units, wait;
} Share;

INLINE Share share_of(Groups groups, int B, int H) {
    int threads = omp_get_num_threads(), me = omp_get_thread_num(), panels = panels_of(H); /* may be fewer than asked */
    int by_units = least(groups.units, threads), by_rows = least(groups.rows, threads / by_units);
    int r = me / by_units, u = me % by_units;
    Share own = {.wait = by_units > 1};
    if (r < by_rows) own.row = (int)((int64_t)B * r / by_rows), own.rows = (int)((int64_t)B * (r + 1) / by_rows) - own.row;
    own.first = panels * u / by_units, own.last = panels * (u + 1) / by_units;
    own.unit = own.first * PANEL, own.units = least(own.last * PANEL, H) - own.unit;
    return own;
}

INLINE void wait_for_others(Share own) {
    if (own.wait) {
#pragma omp barrier
    }
}

/* ---- Layer normalisation of each gate of each row. A saved row holds the gates * H normalised values and each gate's
   scale, 1 / standard deviation. */

static const REAL EPSILON = 1e-5; /* added to the variance, as in projections.py */

/* Define a function that returns the sum of an expression of x = X[j], y = Y[j], z = Z[j] and a over j < size. */
#define SUM(name, expression) \
    INLINE REAL name(int size, const REAL *X, const REAL *Y, const REAL *Z, REAL a) { \
        vector sums[4] = {{0}, {0}, {0}, {0}}; \
        REAL sum = 0; \
        int j = 0; \
        for (; j + 4 * LANES <= size; j += 4 * LANES) \
            for (int v = 0; v < 4; v++) { \
                vector x = *(const unaligned *)(X + j + v * LANES), y = *(const unaligned *)(Y + j + v * LANES), \
                       z = *(const unaligned *)(Z + j + v * LANES); \
                sums[v] += expression; \
            } \
        for (int v = 0; v < 4; v++) \
            for (int l = 0; l < LANES; l++) sum += sums[v][l]; \
        for (; j < size; j++) { \
            REAL x = X[j], y = Y[j], z = Z[j]; \
            sum += expression; \
        } \
        return sum; \
    }
SUM(sum_of, x)
SUM(sum_of_squares, (x - a) * (x - a))
SUM(sum_of_products, x * y)
SUM(sum_of_triples, x * y * z)

typedef struct {
    REAL mean, scale;
} Moments;

INLINE Moments moments_of(int H, const REAL *raw) {
    REAL mean = sum_of(H, raw, raw, raw, 0) / H;
    return (Moments){mean, 1 / (REAL)__builtin_sqrt(sum_of_squares(H, raw, raw, raw, mean) / H + EPSILON)};
}

/* The gradient d of gain * normal + ... into that of the values before they were normalised, for some units of a gate;
   without a gain NULL. */
INLINE void normalise_back(int H, int unit, int units, const REAL *gain, const REAL *normal, REAL scale, const REAL *d,
                           REAL *d_raw) {
    REAL mean = gain ? sum_of_products(H, d, gain, gain, 0) / H : sum_of(H, d, d, d, 0) / H;
    REAL slope = gain ? sum_of_triples(H, d, gain, normal, 0) / H : sum_of_products(H, d, normal, normal, 0) / H;
    for (int j = unit; j < unit + units; j++)
        d_raw[j] = scale * ((gain ? d[j] * gain[j] : d[j]) - mean - normal[j] * slope);
}

/* Normalise the product of `rows` rows in place, save the scales behind it, and leave gain * normal of the own units in
   `out`, or add it; without a gain that is left out. Every thread needs the sums of all units, so it waits until they are there, and for the others to
   have read them before it overwrites its own. */
INLINE void normalise_product(Share own, int gates, int H, const REAL *gain, Moments *room, REAL *raw, int add,
                              REAL *out) {
    const int G = gates * H, step = G + gates;
    wait_for_others(own);
    for (int b = 0; b < own.rows; b++)
        for (int g = 0; g < gates; g++) room[b * gates + g] = moments_of(H, raw + (size_t)b * step + g * H);
    wait_for_others(own);
    for (int b = 0; b < own.rows; b++)
        for (int g = 0; g < gates; g++) {
            Moments of = room[b * gates + g];
            REAL *restrict x = raw + (size_t)b * step + g * H, *restrict y = out + (size_t)b * G + g * H;
            const REAL *restrict k = gain + g * H;
            for (int j = own.unit; j < own.unit + own.units; j++) {
                REAL normal = (x[j] - of.mean) * of.scale;
                x[j] = normal;
                if (gain) y[j] = normal * k[j] + (add ? y[j] : 0);
            }
            if (own.unit == 0) raw[(size_t)b * step + G + g] = of.scale;
        }
}

/* Turn the gradient of the normalised product into that of the product. */
INLINE void normalise_product_back(Share own, int gates, int H, const REAL *gain, const REAL *saved, const REAL *d,
                                   REAL *d_raw) {
    const int G = gates * H, step = G + gates;
    wait_for_others(own);
    for (int b = 0; b < own.rows; b++)
        for (int g = 0; g < gates; g++) {
            const REAL *normal = saved + (size_t)b * step;
            normalise_back(H, own.unit, own.units, gain ? gain + g * H : NULL, normal + g * H, normal[G + g],
                           d + (size_t)b * G + g * H, d_raw + (size_t)b * G + g * H);
        }
}
