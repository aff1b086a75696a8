/* The loops over time of the fused LSTM and GRU on a CPU; compiled.py builds it, once with REAL float, once double.

   Threads share out the rows of the batch, and each runs all steps of its rows without waiting for the others. Tensors
   are row-major: T time, B batch, H hidden, G all gates (4H; 3H for a coupled LSTM and for a GRU). States hold T + 1
   steps, of which step 0 is the initial one. The equations are those of the cells' `step`. NULL stands for an option
   that is not used; zoneout replaces a new value v by v + k (old - v), where k is a mask of bytes or, where that is
   NULL, one share for all. */

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

INLINE REAL kept(const uint8_t *mask, REAL share, int j) { return mask ? (REAL)mask[j] : share; }

INLINE void zone_out(int size, const uint8_t *mask, REAL share, const REAL *old, REAL *new) {
    if (mask)
        for (int j = 0; j < size; j++) new[j] = mask[j] ? old[j] : new[j];
    else if (share)
        for (int j = 0; j < size; j++) new[j] += share * (old[j] - new[j]);
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
INLINE int share_out(int B, int *first) {
    int threads = omp_get_num_threads(), me = omp_get_thread_num();
    *first = B * me / threads;
    return B * (me + 1) / threads - *first;
}

INLINE const REAL *masked(const REAL *h, const REAL *mask, REAL *room, int size) {
    if (!mask) return h;
    for (int j = 0; j < size; j++) room[j] = h[j] * mask[j];
    return room;
}

/* ---- LSTM. gates: input, forget, cell, output; coupled: forget, cell, output. peephole: of input, forget, output. */

INLINE void lstm_row(int H, int coupled, int peephole, const REAL *restrict p, REAL *restrict gates,
                     const REAL *restrict c_old, REAL *restrict c_new, REAL *restrict h_new) {
    REAL *restrict i_ = gates, *restrict f_ = gates + (coupled ? 0 : H), *restrict g_ = f_ + H, *restrict o_ = g_ + H;
#pragma GCC ivdep
    for (int j = 0; j < H; j++) {
        REAL a_f = f_[j], a_o = o_[j];
        if (peephole) a_f += p[H + j] * c_old[j];
        REAL f = sigmoid(a_f), g = tanh_(g_[j]), i;
        if (coupled) {
            i = 1 - f;
        } else {
            REAL a_i = i_[j];
            if (peephole) a_i += p[j] * c_old[j];
            i_[j] = i = sigmoid(a_i);
        }
        REAL c = f * c_old[j] + i * g;
        if (peephole) a_o += p[2 * H + j] * c;
        REAL o = sigmoid(a_o);
        f_[j] = f, g_[j] = g, o_[j] = o;
        c_new[j] = c, h_new[j] = o * tanh_(c);
    }
}

void lstm_forward(int threads, int T, int B, int H, int coupled, REAL *gates, const REAL *U,
                  const REAL *p, const REAL *mask, const uint8_t *keep_h, const uint8_t *keep_c, REAL share_h,
                  REAL share_c, REAL *h, REAL *c) {
    const int G = (coupled ? 3 : 4) * H, BH = B * H;
    REAL *panels = packed(threads, 1, G, H, U);
#pragma omp parallel num_threads(threads)
    {
        int first, rows = share_out(B, &first);
        REAL *room = mask ? malloc(sizeof(REAL) * rows * H) : NULL;
        for (int t = 0; rows && t < T; t++) {
            size_t at = (size_t)t * BH + (size_t)first * H, next = at + BH;
            REAL *a = gates + ((size_t)t * B + first) * G;
            const REAL *in = masked(h + at, mask ? mask + (size_t)first * H : NULL, room, rows * H);
            multiply(rows, G, H, in, panels, 1, a);
            for (int b = 0; b < rows; b++) {
                size_t old = at + (size_t)b * H, new = next + (size_t)b * H;
                if (coupled) lstm_row(H, 1, 0, NULL, a + (size_t)b * G, c + old, c + new, h + new);
                else if (p) lstm_row(H, 0, 1, p, a + (size_t)b * G, c + old, c + new, h + new);
                else lstm_row(H, 0, 0, NULL, a + (size_t)b * G, c + old, c + new, h + new);
            }
            zone_out(rows * H, keep_h ? keep_h + at : NULL, share_h, h + at, h + next);
            zone_out(rows * H, keep_c ? keep_c + at : NULL, share_c, c + at, c + next);
        }
        free(room);
    }
    free(panels);
}

/* dh: gradient of this step's h in, of the h before it (past zoneout, not through U) out; dc likewise, in full. */
INLINE void lstm_row_back(int H, int coupled, int peephole, int zoneout, const REAL *restrict p,
                          const uint8_t *keep_h, const uint8_t *keep_c, REAL share_h, REAL share_c,
                          const REAL *restrict gates, const REAL *restrict c_old, REAL *restrict d, REAL *restrict dh,
                          REAL *restrict dc) {
    const int from_f = coupled ? 0 : H;
    const REAL *restrict i_ = gates, *restrict f_ = gates + from_f, *restrict g_ = f_ + H, *restrict o_ = g_ + H;
    REAL *restrict d_i = d, *restrict d_f = d + from_f, *restrict d_g = d_f + H, *restrict d_o = d_g + H;
#pragma GCC ivdep
    for (int j = 0; j < H; j++) {
        REAL f = f_[j], g = g_[j], o = o_[j], i = coupled ? 1 - f : i_[j], before = c_old[j];
        REAL tanh_c = tanh_(f * before + i * g);
        REAL from_h = dh[j], from_c = dc[j], h_stays = 0, c_stays = 0;
        if (zoneout) {
            REAL k_h = kept(keep_h, share_h, j), k_c = kept(keep_c, share_c, j);
            h_stays = k_h * from_h, from_h -= h_stays;
            c_stays = k_c * from_c, from_c -= c_stays;
        }
        REAL go = from_h * tanh_c * o * (1 - o);
        REAL gc = from_c + from_h * o * (1 - tanh_c * tanh_c);
        if (peephole) gc += p[2 * H + j] * go;
        REAL gf = gc * f * (1 - f) * (coupled ? before - g : before);
        REAL back = gc * f + c_stays;
        if (!coupled) {
            REAL gi = gc * g * i * (1 - i);
            if (peephole) back += p[j] * gi + p[H + j] * gf;
            d_i[j] = gi;
        }
        d_f[j] = gf, d_g[j] = gc * i * (1 - g * g), d_o[j] = go;
        dh[j] = h_stays, dc[j] = back;
    }
}

void lstm_backward(int threads, int T, int B, int H, int coupled, const REAL *gates, const REAL *U,
                   const REAL *p, const REAL *mask, const uint8_t *keep_h, const uint8_t *keep_c, REAL share_h,
                   REAL share_c, const REAL *c, const REAL *dh_out, const REAL *dc_out, REAL *d, REAL *dh, REAL *dc) {
    const int G = (coupled ? 3 : 4) * H, BH = B * H, zoneout = keep_h || keep_c || share_h || share_c;
    REAL *panels = packed(threads, 0, H, G, U);
#pragma omp parallel num_threads(threads)
    {
        int first, rows = share_out(B, &first), size = rows * H;
        REAL *room = malloc(sizeof(REAL) * (size + 1)), *dh_ = dh + (size_t)first * H, *dc_ = dc + (size_t)first * H;
        for (int t = T - 1; rows && t >= 0; t--) {
            size_t at = (size_t)t * BH + (size_t)first * H, row = ((size_t)t * B + first) * G;
            if (dh_out)
                for (int j = 0; j < size; j++) dh_[j] += dh_out[at + j];
            if (dc_out)
                for (int j = 0; j < size; j++) dc_[j] += dc_out[at + j];
            for (int b = 0; b < rows; b++) {
                size_t j = (size_t)b * H, k = row + (size_t)b * G;
                const uint8_t *k_h = keep_h ? keep_h + at + j : NULL, *k_c = keep_c ? keep_c + at + j : NULL;
#define BACK(coupled, peephole, zoneout) \
    lstm_row_back(H, coupled, peephole, zoneout, p, k_h, k_c, share_h, share_c, gates + k, c + at + j, d + k, dh_ + j, \
                  dc_ + j)
                if (zoneout) {
                    if (coupled) BACK(1, 0, 1);
                    else if (p) BACK(0, 1, 1);
                    else BACK(0, 0, 1);
                } else if (coupled) BACK(1, 0, 0);
                else if (p) BACK(0, 1, 0);
                else BACK(0, 0, 0);
            }
            if (!mask) {
                multiply(rows, H, G, d + row, panels, zoneout, dh_);
            } else {
                multiply(rows, H, G, d + row, panels, 0, room);
                for (int j = 0; j < size; j++) dh_[j] += room[j] * mask[(size_t)first * H + j];
            }
        }
        free(room);
    }
    free(panels);
}

/* ---- GRU. gates: reset, update, candidate. u_n: U_n h + b_n of every step, which the backward pass needs. */

INLINE void gru_row(int H, const REAL *restrict u, const REAL *restrict bias, REAL *restrict gates,
                    REAL *restrict u_n, const REAL *restrict h_old, REAL *restrict h_new) {
#pragma GCC ivdep
    for (int j = 0; j < H; j++) {
        REAL r = sigmoid(gates[j] + u[j] + bias[j]);
        REAL z = sigmoid(gates[H + j] + u[H + j] + bias[H + j]);
        REAL u_ = u[2 * H + j] + bias[2 * H + j];
        REAL n = tanh_(gates[2 * H + j] + r * u_);
        gates[j] = r, gates[H + j] = z, gates[2 * H + j] = n, u_n[j] = u_;
        h_new[j] = n + z * (h_old[j] - n);
    }
}

void gru_forward(int threads, int T, int B, int H, REAL *gates, const REAL *U, const REAL *bias,
                 const REAL *mask, const uint8_t *keep, REAL share, REAL *u_n, REAL *h) {
    const int G = 3 * H, BH = B * H;
    REAL *panels = packed(threads, 1, G, H, U);
#pragma omp parallel num_threads(threads)
    {
        int first, rows = share_out(B, &first), size = rows * H;
        REAL *room = malloc(sizeof(REAL) * (4 * size + 1)), *u = room + size;
        for (int t = 0; rows && t < T; t++) {
            size_t at = (size_t)t * BH + (size_t)first * H, next = at + BH;
            REAL *a = gates + ((size_t)t * B + first) * G;
            const REAL *in = masked(h + at, mask ? mask + (size_t)first * H : NULL, room, size);
            multiply(rows, G, H, in, panels, 0, u);
            for (int b = 0; b < rows; b++) {
                size_t j = (size_t)b * H, k = (size_t)b * G;
                gru_row(H, u + k, bias, a + k, u_n + at + j, h + at + j, h + next + j);
            }
            zone_out(size, keep ? keep + at : NULL, share, h + at, h + next);
        }
        free(room);
    }
    free(panels);
}

/* d is the gradient of W x + b; d_u that of U h + b, whose candidate part has the reset gate in it. */
INLINE void gru_row_back(int H, int zoneout, const uint8_t *keep, REAL share, const REAL *restrict gates,
                         const REAL *restrict u_n, const REAL *restrict h_old, REAL *restrict d, REAL *restrict d_u,
                         REAL *restrict dh) {
#pragma GCC ivdep
    for (int j = 0; j < H; j++) {
        REAL r = gates[j], z = gates[H + j], n = gates[2 * H + j], from_h = dh[j], stays = 0;
        if (zoneout) stays = kept(keep, share, j) * from_h, from_h -= stays;
        REAL gn = from_h * (1 - z) * (1 - n * n);
        REAL gz = from_h * (h_old[j] - n) * z * (1 - z);
        REAL gr = gn * u_n[j] * r * (1 - r);
        d[j] = gr, d[H + j] = gz, d[2 * H + j] = gn;
        d_u[j] = gr, d_u[H + j] = gz, d_u[2 * H + j] = gn * r;
        dh[j] = stays + from_h * z;
    }
}

void gru_backward(int threads, int T, int B, int H, const REAL *gates, const REAL *U, const REAL *mask,
                  const uint8_t *keep, REAL share, const REAL *u_n, const REAL *h, const REAL *dh_out, REAL *d,
                  REAL *d_u, REAL *dh) {
    const int G = 3 * H, BH = B * H;
    REAL *panels = packed(threads, 0, H, G, U);
#pragma omp parallel num_threads(threads)
    {
        int first, rows = share_out(B, &first), size = rows * H;
        REAL *room = malloc(sizeof(REAL) * (size + 1)), *dh_ = dh + (size_t)first * H;
        for (int t = T - 1; rows && t >= 0; t--) {
            size_t at = (size_t)t * BH + (size_t)first * H, row = ((size_t)t * B + first) * G;
            if (dh_out)
                for (int j = 0; j < size; j++) dh_[j] += dh_out[at + j];
            for (int b = 0; b < rows; b++) {
                size_t j = (size_t)b * H, k = row + (size_t)b * G;
                if (keep || share)
                    gru_row_back(H, 1, keep ? keep + at + j : NULL, share, gates + k, u_n + at + j, h + at + j, d + k,
                                 d_u + k, dh_ + j);
                else
                    gru_row_back(H, 0, NULL, 0, gates + k, u_n + at + j, h + at + j, d + k, d_u + k, dh_ + j);
            }
            if (!mask) {
                multiply(rows, H, G, d_u + row, panels, 1, dh_);
            } else {
                multiply(rows, H, G, d_u + row, panels, 0, room);
                for (int j = 0; j < size; j++) dh_[j] += room[j] * mask[(size_t)first * H + j];
            }
        }
        free(room);
    }
    free(panels);
}
