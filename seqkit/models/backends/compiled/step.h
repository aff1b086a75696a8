/* What the C of a traced step stands on: activations, products with a packed U, layer normalisation. REAL is float, or
   double with -DDOUBLE. Threads share out the rows of the batch, and each runs all steps of its rows by itself. */

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

/* ---- Products (rows, k) (k, n) with few rows and the same second factor at every step. It is packed once into panels
   of PANEL columns, of which a block of rows is multiplied by one after the other with its sums in registers. */

#if defined __AVX512F__
enum { BYTES = 64, BLOCK = 12 };
#elif defined __AVX__
enum { BYTES = 32, BLOCK = 6 };
#else
enum { BYTES = 16, BLOCK = 6 };
#endif
typedef REAL vector __attribute__((vector_size(BYTES)));
enum { LANES = BYTES / sizeof(REAL), PANEL = 2 * LANES };

/* W is (k, n), or (n, k) to be transposed. */
static REAL *packed(int threads, int transposed, int n, int k, const REAL *W) {
    const int panels = (n + PANEL - 1) / PANEL;
    REAL *all = aligned_alloc(64, sizeof(REAL) * (size_t)panels * PANEL * k);
#pragma omp parallel for num_threads(threads)
    for (int p = 0; p < panels; p++) {
        REAL *panel = all + (size_t)p * PANEL * k;
        const int first = p * PANEL, width = n - first < PANEL ? n - first : PANEL;
        if (width < PANEL) memset(panel, 0, sizeof(REAL) * PANEL * k);
        if (transposed)
            for (int j = 0; j < width; j++)
                for (int i = 0; i < k; i++) panel[(size_t)i * PANEL + j] = W[(size_t)(first + j) * k + i];
        else
            for (int i = 0; i < k; i++) memcpy(panel + (size_t)i * PANEL, W + (size_t)i * n + first, sizeof(REAL) * width);
    }
    return all;
}

INLINE void block(int rows, int add, int width, int n, int k, const REAL *in, const REAL *panel, REAL *out) {
    vector sums[BLOCK][2], *w = (vector *)panel;
    for (int r = 0; r < rows; r++) sums[r][0] = sums[r][1] = (vector){0};
    for (int i = 0; i < k; i++)
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            sums[r][0] += in[(size_t)r * k + i] * w[2 * i];
            sums[r][1] += in[(size_t)r * k + i] * w[2 * i + 1];
        }
    for (int r = 0; r < rows; r++) {
        REAL *to = out + (size_t)r * n, row[PANEL];
        memcpy(row, sums[r], sizeof row);
        for (int j = 0; j < width; j++) to[j] = add ? to[j] + row[j] : row[j];
    }
}

/* out (rows, n) = in (rows, k) times the packed matrix, or plus that. */
static void multiply(int rows, int n, int k, const REAL *in, const REAL *panels, int add, REAL *out) {
    int blocks = (rows + BLOCK - 1) / BLOCK;
    for (int p = 0; p * PANEL < n; p++) {
        int width = n - p * PANEL < PANEL ? n - p * PANEL : PANEL;
        const REAL *panel = panels + (size_t)p * PANEL * k;
        for (int b = 0; b < blocks; b++) {
            int first = rows * b / blocks, size = rows * (b + 1) / blocks - first;
            const REAL *from = in + (size_t)first * k;
            REAL *to = out + (size_t)first * n + p * PANEL;
            switch (size) { /* so that each number of rows has its own code, with its sums in registers */
#define CASE(R) case R: if (R <= BLOCK) block(R <= BLOCK ? R : 1, add, width, n, k, from, panel, to); break;
                CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
            }
        }
    }
}

/* The rows of this thread: first one and number. */
INLINE int64_t share_out(int64_t B, int64_t *first) {
    int threads = omp_get_num_threads(), me = omp_get_thread_num();
    *first = B * me / threads;
    return B * (me + 1) / threads - *first;
}


/* ---- Layer normalisation of each block of H units of a row of N: x becomes normal, scale 1 / standard deviation. */

static const REAL EPSILON = 1e-5; /* as in projections.py */

static void normalise(int64_t rows, int64_t N, int64_t H, REAL *x, REAL *scale) {
    for (int64_t block = 0; block < rows * (N / H); block++, x += H) {
        REAL mean = 0, variance = 0;
#pragma omp simd reduction(+ : mean)
        for (int64_t j = 0; j < H; j++) mean += x[j];
        mean /= H;
#pragma omp simd reduction(+ : variance)
        for (int64_t j = 0; j < H; j++) variance += (x[j] - mean) * (x[j] - mean);
        const REAL by = scale[block] = 1 / MATH(sqrt)(variance / H + EPSILON);
        for (int64_t j = 0; j < H; j++) x[j] = (x[j] - mean) * by;
    }
}

/* d, the gradient of the normal values, becomes that of the values before. */
static void normalise_backward(int64_t rows, int64_t N, int64_t H, const REAL *normal, const REAL *scale, REAL *d) {
    for (int64_t block = 0; block < rows * (N / H); block++, normal += H, d += H) {
        REAL mean = 0, slope = 0;
#pragma omp simd reduction(+ : mean, slope)
        for (int64_t j = 0; j < H; j++) mean += d[j], slope += d[j] * normal[j];
        mean /= H, slope /= H;
        for (int64_t j = 0; j < H; j++) d[j] = scale[block] * (d[j] - mean - normal[j] * slope);
    }
}

INLINE void add(int64_t size, const REAL *from, REAL *to) {
    for (int64_t j = 0; j < size; j++) to[j] += from[j];
}

