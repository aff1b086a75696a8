/* Products with a packed U, and their layer normalisation; see step.h. */

#include "step.h"

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
REAL *packed(int threads, int transposed, int n, int k, const REAL *W) {
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
void multiply(int rows, int n, int k, const REAL *in, const REAL *panels, int add, REAL *out) {
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

/* ---- Layer normalisation */

static const REAL EPSILON = 1e-5; /* as in projections.py */

void normalise(int64_t rows, int64_t N, int64_t H, REAL *x, REAL *scale) {
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

void normalise_backward(int64_t rows, int64_t N, int64_t H, const REAL *normal, const REAL *scale, REAL *d) {
    for (int64_t block = 0; block < rows * (N / H); block++, normal += H, d += H) {
        REAL mean = 0, slope = 0;
#pragma omp simd reduction(+ : mean, slope)
        for (int64_t j = 0; j < H; j++) mean += d[j], slope += d[j] * normal[j];
        mean /= H, slope /= H;
        for (int64_t j = 0; j < H; j++) d[j] = scale[block] * (d[j] - mean - normal[j] * slope);
    }
}
