/* What the C of a traced step stands on. REAL is float, or double with -DDOUBLE. Threads share out the rows of the
   batch, and each runs all steps of its rows by itself. products.c is compiled once for all steps. */

#include <omp.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef DOUBLE
typedef double REAL;
typedef int64_t BITS;
enum { TERMS = 14, MANTISSA = 52, BIAS = 1023 };
#define RINT __builtin_rint
#define MATH(name) name
static const REAL LIMIT = 708, LN2_HIGH = 6.93147180369123816490e-1, LN2_LOW = 1.90821492927058770002e-10;
#else
typedef float REAL;
typedef int32_t BITS;
enum { TERMS = 7, MANTISSA = 23, BIAS = 127 };
#define RINT __builtin_rintf
#define MATH(name) name##f
static const REAL LIMIT = 87, LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;
#endif

#define INLINE static inline __attribute__((always_inline))
#define restrict __restrict__
#define EXPORT __attribute__((visibility("default")))

/* exp(x) - 1, accurate near 0 too: x = n ln 2 + r, the Taylor series of r, and 2^n put together from its bits. */
INLINE REAL expm1_(REAL x) {
    x = x < -LIMIT ? -LIMIT : x > LIMIT ? LIMIT : x; /* NaN stays NaN */
    REAL n = RINT(x * (REAL)1.4426950408889634);
    REAL r = (x - n * LN2_HIGH) - n * LN2_LOW, series = 1, scale;
#pragma GCC unroll 16
    for (int k = TERMS; k > 1; k--) series = 1 + r * ((REAL)1 / k) * series;
    BITS bits = ((BITS)n + BIAS) << MANTISSA;
    memcpy(&scale, &bits, sizeof scale);
    return scale * (r * series) + (scale - 1);
}

INLINE REAL sigmoid(REAL x) { return 1 / (2 + expm1_(-x)); }

INLINE REAL tanh_(REAL x) {
    REAL e = expm1_(2 * (x < -20 ? -20 : x > 20 ? 20 : x));
    return e / (e + 2);
}

/* W (k, n), or (n, k) to be transposed, packed as `multiply` wants it; to be freed. */
REAL *packed(int threads, int transposed, int n, int k, const REAL *W);

/* out (rows, n) = in (rows, k) times the packed matrix, or plus that. */
void multiply(int rows, int n, int k, const REAL *in, const REAL *panels, int add, REAL *out);

/* Layer normalisation of each block of H units of rows of N: x becomes normal, scale 1 / standard deviation. */
void normalise(int64_t rows, int64_t N, int64_t H, REAL *x, REAL *scale);

/* d, the gradient of the normal values, becomes that of the values before. */
void normalise_backward(int64_t rows, int64_t N, int64_t H, const REAL *normal, const REAL *scale, REAL *d);

/* The rows of this thread: first one and number. */
INLINE int64_t share_out(int64_t B, int64_t *first) {
    int threads = omp_get_num_threads(), me = omp_get_thread_num();
    *first = B * me / threads;
    return B * (me + 1) / threads - *first;
}

INLINE void add(int64_t size, const REAL *from, REAL *to) {
    for (int64_t j = 0; j < size; j++) to[j] += from[j];
}

