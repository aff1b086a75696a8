/* The loops over time of the fused LSTM and GRU on a CPU; c_loops.py builds it, once with REAL float, once double.

   Threads share out the rows of the batch, and each runs all steps of its rows without waiting for the others; where
   there are too few rows for that, they share out the hidden units too and wait for each other at every step. No result
   depends on the number of threads. Tensors are row-major: T time, B batch, H hidden, G all gates (4H; 3H for a coupled
   LSTM and for a GRU). States hold T + 1 steps, of which step 0 is the initial one. The equations are those of the
   cells' `step`. NULL stands for an option that is not used; zoneout replaces a new value v by v + k (old - v), where k
   is a mask of bytes or, where that is NULL, one share for all. */

#ifdef __FMA__
#include <immintrin.h>
#endif
#include "recurrence.h"

INLINE REAL kept(const uint8_t *mask, REAL share, int j) { return mask ? (REAL)mask[j] : share; }

INLINE void zone_out(int size, const uint8_t *mask, REAL share, const REAL *old, REAL *new) {
    if (mask)
        for (int j = 0; j < size; j++) new[j] = mask[j] ? old[j] : new[j];
    else if (share)
        for (int j = 0; j < size; j++) new[j] += share * (old[j] - new[j]);
}

/* ---- Products (rows, k) (k, gates * H) with few rows and the same second factor at every step. It is packed once into
   panels of PANEL columns of one gate, the gates of the same units side by side. A block of rows is multiplied by a
   panel, or by several where the rows are few, with its sums in registers. */

/* sum + x * w, rounded once where the processor can: compilers would choose case by case, and so between threads. */
#if defined __FMA__ && defined DOUBLE
#define MULTIPLY_ADD(x, w, sum) (vector) CHOOSE(_mm256_fmadd_pd, _mm512_fmadd_pd)((vector){0} + (x), w, sum)
#elif defined __FMA__
#define MULTIPLY_ADD(x, w, sum) (vector) CHOOSE(_mm256_fmadd_ps, _mm512_fmadd_ps)((vector){0} + (x), w, sum)
#else
#define MULTIPLY_ADD(x, w, sum) ((sum) + (x) * (w))
#endif
#ifdef __AVX512F__
#define CHOOSE(narrow, wide) wide
#else
#define CHOOSE(narrow, wide) narrow
#endif

/* Return how many numbers the packed matrix has. */
int64_t packed_size(int gates, int H, int k) { return (int64_t)gates * panels_of(H) * PANEL * k; }

/* W is (k, gates * H), or (gates * H, k) to be transposed. */
void pack(int threads, int transposed, int gates, int H, int k, const REAL *W, REAL *packed) {
#pragma omp parallel for num_threads(threads)
    for (int q = 0; q < gates * panels_of(H); q++) {
        REAL *panel = packed + (size_t)q * PANEL * k;
        const int unit = q / gates * PANEL, width = least(PANEL, H - unit);
        const size_t first = (size_t)(q % gates) * H + unit;
        if (width < PANEL) memset(panel, 0, sizeof(REAL) * PANEL * k);
        for (int i = 0; i < k; i++)
            if (!transposed) memcpy(panel + (size_t)i * PANEL, W + (size_t)i * gates * H + first, sizeof(REAL) * width);
            else for (int j = 0; j < width; j++) panel[(size_t)i * PANEL + j] = W[(first + j) * k + i];
    }
}

/* Of `rows` rows and the panels q to q + count - 1, the first `vectors` vectors of each. */
INLINE void block(int rows, int count, int vectors, int add, int gates, int H, int k, const REAL *in,
                  const REAL *packed, int q, int step, REAL *out) {
    vector sums[BLOCK][8]; /* of which 2 BLOCK at most are used */
    const vector *w = (const vector *)(packed + (size_t)q * PANEL * k);
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < count * vectors; v++) sums[r][v] = (vector){0};
    if (add)
        for (int c = 0; c < count; c++)
            for (int r = 0; r < rows; r++)
                __builtin_prefetch(out + (size_t)r * step + (q + c) % gates * H + (q + c) / gates * PANEL, 1);
    for (int i = 0; i < k; i++)
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int c = 0; c < count; c++)
#pragma GCC unroll 2
                for (int v = 0; v < vectors; v++)
                    sums[r][c * vectors + v] =
                        MULTIPLY_ADD(in[(size_t)r * k + i], w[2 * ((size_t)c * k + i) + v], sums[r][c * vectors + v]);
    for (int c = 0; c < count; c++) {
        int unit = (q + c) / gates * PANEL, width = least(PANEL, H - unit);
        for (int r = 0; r < rows; r++) {
            REAL *to = out + (size_t)r * step + (q + c) % gates * H + unit, row[PANEL];
            if (width == vectors * LANES) {
                for (int v = 0; v < vectors; v++) {
                    unaligned *at = (unaligned *)to + v;
                    vector sum = sums[r][c * vectors + v];
                    if (add) sum += *at;
                    *at = sum;
                }
            } else {
                memcpy(row, sums[r] + c * vectors, sizeof(vector) * vectors);
                for (int j = 0; j < width; j++) to[j] = add ? to[j] + row[j] : row[j];
            }
        }
    }
}

/* A function for each number of rows and of panels at once, so that the sums are in registers; of half a panel for the
   last one of each gate if half of it is empty. */
typedef void Block(int add, int gates, int H, int k, const REAL *in, const REAL *packed, int q, int step, REAL *out);
#define BLOCKS(R, C, N) \
    static __attribute__((noinline)) void block_##R##_##C##_##N(int add, int gates, int H, int k, const REAL *in, \
                                                                const REAL *packed, int q, int step, REAL *out) { \
        if (R * C <= BLOCK) block(R * C <= BLOCK ? R : 1, C, 2 - N, add, gates, H, k, in, packed, q, step, out); \
    }
#define EVERY_BLOCK(DO) \
    DO(1, 1, 0) DO(2, 1, 0) DO(3, 1, 0) DO(4, 1, 0) DO(5, 1, 0) DO(6, 1, 0) DO(7, 1, 0) DO(8, 1, 0) DO(9, 1, 0) \
    DO(10, 1, 0) DO(11, 1, 0) DO(12, 1, 0) DO(1, 1, 1) DO(2, 1, 1) DO(3, 1, 1) DO(4, 1, 1) DO(5, 1, 1) DO(6, 1, 1) \
    DO(7, 1, 1) DO(8, 1, 1) DO(9, 1, 1) DO(10, 1, 1) DO(11, 1, 1) DO(12, 1, 1) DO(1, 2, 0) DO(2, 2, 0) DO(3, 2, 0) \
    DO(4, 2, 0) DO(5, 2, 0) DO(6, 2, 0) DO(1, 4, 0) DO(2, 4, 0) DO(3, 4, 0)
EVERY_BLOCK(BLOCKS)
static Block *const blocks_by_size[13][5][2] = {
#define ENTRY(R, C, N) [R][C][N] = block_##R##_##C##_##N,
    EVERY_BLOCK(ENTRY)
};

/* out (rows, gates * H) = in (rows, k) times the packed matrix, or plus that, for the units of panels first to last - 1
   of every gate. The rows of `out` are `step` numbers apart. */
static void multiply(int rows, int gates, int H, int k, const REAL *in, const REAL *packed, int first, int last,
                     int add, int step, REAL *out) {
    const int blocks = (rows + BLOCK - 1) / BLOCK, end = last * gates;
    const int most = rows * 4 <= BLOCK ? 4 : rows * 2 <= BLOCK ? 2 : 1;
    for (int q = first * gates, count; q < end; q += count) {
        int narrow = H - q / gates * PANEL <= LANES;
        count = q + most > end || narrow || H - (q + most - 1) / gates * PANEL <= LANES ? 1 : most;
        for (int b = 0; b < blocks; b++) {
            int row = (int)((int64_t)rows * b / blocks), size = (int)((int64_t)rows * (b + 1) / blocks) - row;
            blocks_by_size[size][count][narrow](add, gates, H, k, in + (size_t)row * k, packed, q, step,
                                                out + (size_t)row * step);
        }
    }
}

/* `multiply` for loops in other libraries. */
void multiply_for_others(int rows, int gates, int H, int k, const REAL *in, const REAL *packed, int first, int last,
                         int add, int step, REAL *out) {
    multiply(rows, gates, H, k, in, packed, first, last, add, step, out);
}

INLINE const REAL *masked(const REAL *h, const REAL *mask, REAL *room, int size) {
    if (!mask) return h;
    for (int j = 0; j < size; j++) room[j] = h[j] * mask[j];
    return room;
}

/* `raw` (N rows, gates * H) becomes normal; out = gain * normal + bias, scales (N, gates). */
void normalise(int threads, int N, int gates, int H, REAL *raw, const REAL *gain, const REAL *bias, REAL *scales,
               REAL *out) {
#pragma omp parallel for num_threads(threads)
    for (int n = 0; n < N; n++)
        for (int g = 0; g < gates; g++) {
            REAL *restrict x = raw + ((size_t)n * gates + g) * H, *restrict y = out + ((size_t)n * gates + g) * H;
            const REAL *restrict k = gain + (size_t)g * H, *restrict b = bias + (size_t)g * H;
            Moments of = moments_of(H, x);
            for (int j = 0; j < H; j++) {
                REAL normal = (x[j] - of.mean) * of.scale;
                x[j] = normal, y[j] = normal * k[j] + b[j];
            }
            scales[(size_t)n * gates + g] = of.scale;
        }
}

enum { ROWS_TOGETHER = 64 }; /* of which a sum is made before it is added to the rest; whatever the number of threads */

int blocks_of_rows(int N) { return (N + ROWS_TOGETHER - 1) / ROWS_TOGETHER; }

INLINE void add_blocks(int blocks, int size, const REAL *sums, REAL *out) {
    memset(out, 0, sizeof(REAL) * size);
    for (int b = 0; b < blocks; b++)
        for (int j = 0; j < size; j++) out[j] += sums[(size_t)b * size + j];
}

/* d_bias_gain: the gradients of the bias, then of the gain; room for as many numbers for each block of rows. */
void normalise_backward(int threads, int N, int gates, int H, const REAL *normal, const REAL *gain, const REAL *scales,
                        const REAL *d, REAL *d_raw, REAL *d_bias_gain, REAL *room) {
    const int G = gates * H, blocks = blocks_of_rows(N);
#pragma omp parallel for num_threads(threads)
    for (int b = 0; b < blocks; b++) {
        REAL *restrict d_bias = room + (size_t)b * 2 * G, *restrict d_gain = d_bias + G;
        memset(d_bias, 0, sizeof(REAL) * 2 * G);
        for (int n = b * ROWS_TOGETHER; n < least(N, (b + 1) * ROWS_TOGETHER); n++) {
            const REAL *restrict d_ = d + (size_t)n * G, *restrict x = normal + (size_t)n * G;
            for (int j = 0; j < G; j++) d_bias[j] += d_[j], d_gain[j] += d_[j] * x[j];
            for (int g = 0; g < gates; g++)
                normalise_back(H, 0, H, gain + g * H, x + g * H, scales[(size_t)n * gates + g], d_ + g * H,
                               d_raw + (size_t)n * G + g * H);
        }
    }
    add_blocks(blocks, 2 * G, room, d_bias_gain);
}

/* out[j] = sum over N rows of d[j] x[j], or of d[j] for NULL; rows are d_step and x_step numbers apart. */
void sum_rows(int threads, int N, int size, int d_step, int x_step, const REAL *d, const REAL *x, REAL *out,
              REAL *room) {
    const int blocks = blocks_of_rows(N);
#pragma omp parallel for num_threads(threads)
    for (int b = 0; b < blocks; b++) {
        REAL *restrict sums = room + (size_t)b * size;
        memset(sums, 0, sizeof(REAL) * size);
        for (int n = b * ROWS_TOGETHER; n < least(N, (b + 1) * ROWS_TOGETHER); n++) {
            const REAL *restrict d_ = d + (size_t)n * d_step;
            if (x) {
                const REAL *restrict x_ = x + (size_t)n * x_step;
                for (int j = 0; j < size; j++) sums[j] += d_[j] * x_[j];
            } else {
                for (int j = 0; j < size; j++) sums[j] += d_[j];
            }
        }
    }
    add_blocks(blocks, size, room, out);
}

/* ---- LSTM. gates: input, forget, cell, output; coupled: forget, cell, output. peephole: of input, forget, output.
   Functions of a row take pointers to its first unit, and H as the distance from gate to gate. */

INLINE void lstm_row(int units, int H, int coupled, int peephole, const REAL *restrict p, REAL *restrict gates,
                     const REAL *restrict c_old, REAL *restrict c_new, REAL *restrict h_new) {
    REAL *restrict i_ = gates, *restrict f_ = gates + (coupled ? 0 : H), *restrict g_ = f_ + H, *restrict o_ = g_ + H;
#pragma GCC ivdep
    for (int j = 0; j < units; j++) {
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

/* U is packed, transposed. raw: where there is a gain, room for the saved rows of each step, or of one. */
void lstm_forward(int threads, int T, int B, int H, int coupled, int saved, REAL *gates, const REAL *U,
                  const REAL *gain, const REAL *p, const REAL *mask, const uint8_t *keep_h, const uint8_t *keep_c,
                  REAL share_h, REAL share_c, REAL *raw, REAL *h, REAL *c) {
    const int g = coupled ? 3 : 4, G = g * H, BH = B * H, step = G + g;
    const Groups groups = groups_of(threads, B, H, G);
#pragma omp parallel num_threads(groups.rows * groups.units)
    {
        const Share own = share_of(groups, B, H);
        REAL *room = malloc(sizeof(REAL) * (own.rows * H + 1));
        Moments *moments = malloc(sizeof(Moments) * (own.rows * g + 1));
        for (int t = 0; t < T; t++) {
            size_t at = ((size_t)t * B + own.row) * H;
            REAL *a = gates + ((size_t)t * B + own.row) * G;
            const REAL *in = masked(h + at, mask ? mask + (size_t)own.row * H : NULL, room, own.rows * H);
            if (gain) {
                REAL *raw_ = raw + ((size_t)(saved ? t : 0) * B + own.row) * step;
                multiply(own.rows, g, H, H, in, U, own.first, own.last, 0, step, raw_);
                normalise_product(own, g, H, gain, moments, raw_, 1, a);
            } else {
                multiply(own.rows, g, H, H, in, U, own.first, own.last, 1, G, a);
            }
            for (int b = 0; b < own.rows; b++) {
                size_t old = at + (size_t)b * H + own.unit, new = old + BH;
                REAL *a_ = a + (size_t)b * G + own.unit;
                if (coupled) lstm_row(own.units, H, 1, 0, NULL, a_, c + old, c + new, h + new);
                else if (p) lstm_row(own.units, H, 0, 1, p + own.unit, a_, c + old, c + new, h + new);
                else lstm_row(own.units, H, 0, 0, NULL, a_, c + old, c + new, h + new);
                zone_out(own.units, keep_h ? keep_h + old : NULL, share_h, h + old, h + new);
                zone_out(own.units, keep_c ? keep_c + old : NULL, share_c, c + old, c + new);
            }
            wait_for_others(own);
        }
        free(room), free(moments);
    }
}

/* dh: gradient of this step's h in, of the h before it (past zoneout, not through U) out; dc likewise, in full. */
INLINE void lstm_row_back(int units, int H, int coupled, int peephole, int zoneout, const REAL *restrict p,
                          const uint8_t *keep_h, const uint8_t *keep_c, REAL share_h, REAL share_c,
                          const REAL *restrict gates, const REAL *restrict c_old, REAL *restrict d, REAL *restrict dh,
                          REAL *restrict dc) {
    const int from_f = coupled ? 0 : H;
    const REAL *restrict i_ = gates, *restrict f_ = gates + from_f, *restrict g_ = f_ + H, *restrict o_ = g_ + H;
    REAL *restrict d_i = d, *restrict d_f = d + from_f, *restrict d_g = d_f + H, *restrict d_o = d_g + H;
#pragma GCC ivdep
    for (int j = 0; j < units; j++) {
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

/* Add the gradient of this step's state, of which rows are row_step and steps are step numbers apart. */
INLINE void add_gradient(Share own, int H, int t, int64_t step, int64_t row_step, const REAL *given, REAL *d) {
    if (given)
        for (int b = 0; b < own.rows; b++) {
            const REAL *restrict from = given + t * step + (own.row + b) * row_step + own.unit;
            REAL *restrict to = d + (size_t)b * H + own.unit;
            for (int j = 0; j < own.units; j++) to[j] += from[j];
        }
}

/* Add the gradient by way of U of the h before this step. */
INLINE void through_product(Share own, int H, int G, const REAL *d, const REAL *U, const REAL *mask, REAL *room,
                            REAL *dh) {
    if (!mask) {
        multiply(own.rows, 1, H, G, d, U, own.first, own.last, 1, H, dh);
        return;
    }
    multiply(own.rows, 1, H, G, d, U, own.first, own.last, 0, H, room);
    for (int b = 0; b < own.rows; b++)
        for (int j = own.unit; j < own.unit + own.units; j++)
            dh[(size_t)b * H + j] += room[(size_t)b * H + j] * mask[((size_t)own.row + b) * H + j];
}

/* U is packed, not transposed. d_raw is d without a gain. */
void lstm_backward(int threads, int T, int B, int H, int coupled, const REAL *gates, const REAL *U, const REAL *gain,
                   const REAL *p, const REAL *mask, const uint8_t *keep_h, const uint8_t *keep_c, REAL share_h,
                   REAL share_c, const REAL *raw, const REAL *c, int64_t dh_step, int64_t dh_row, const REAL *dh_out,
                   int64_t dc_step, int64_t dc_row, const REAL *dc_out, REAL *d, REAL *d_raw, REAL *dh, REAL *dc) {
    const int g = coupled ? 3 : 4, G = g * H, zoneout = keep_h || keep_c || share_h || share_c;
    const Groups groups = groups_of(threads, B, H, G);
#pragma omp parallel num_threads(groups.rows * groups.units)
    {
        const Share own = share_of(groups, B, H);
        REAL *room = malloc(sizeof(REAL) * (own.rows * H + 1));
        REAL *dh_ = dh + (size_t)own.row * H, *dc_ = dc + (size_t)own.row * H;
        for (int t = T - 1; t >= 0; t--) {
            const size_t first = (size_t)t * B + own.row;
            add_gradient(own, H, t, dh_step, dh_row, dh_out, dh_);
            add_gradient(own, H, t, dc_step, dc_row, dc_out, dc_);
            for (int b = 0; b < own.rows; b++) {
                size_t j = (size_t)b * H + own.unit, at = first * H + j, k = (first + b) * G + own.unit;
                const uint8_t *k_h = keep_h ? keep_h + at : NULL, *k_c = keep_c ? keep_c + at : NULL;
#define BACK(coupled, peephole, zoneout) \
    lstm_row_back(own.units, H, coupled, peephole, zoneout, p + own.unit, k_h, k_c, share_h, share_c, gates + k, c + at, \
                  d + k, dh_ + j, dc_ + j)
                if (zoneout) {
                    if (coupled) BACK(1, 0, 1);
                    else if (p) BACK(0, 1, 1);
                    else BACK(0, 0, 1);
                } else if (coupled) BACK(1, 0, 0);
                else if (p) BACK(0, 1, 0);
                else BACK(0, 0, 0);
            }
            if (gain) normalise_product_back(own, g, H, gain, raw + first * (G + g), d + first * G, d_raw + first * G);
            wait_for_others(own);
            through_product(own, H, G, d_raw + first * G, U, mask, room, dh_);
        }
        free(room);
    }
}

/* ---- GRU. gates: reset, update, candidate. u_n: U_n h + b_n of every step, which the backward pass needs. */

INLINE void gru_row(int units, int H, const REAL *restrict u, const REAL *restrict bias, REAL *restrict gates,
                    REAL *restrict u_n, const REAL *restrict h_old, REAL *restrict h_new) {
#pragma GCC ivdep
    for (int j = 0; j < units; j++) {
        REAL r = sigmoid(gates[j] + u[j] + bias[j]);
        REAL z = sigmoid(gates[H + j] + u[H + j] + bias[H + j]);
        REAL u_ = u[2 * H + j] + bias[2 * H + j];
        REAL n = tanh_(gates[2 * H + j] + r * u_);
        gates[j] = r, gates[H + j] = z, gates[2 * H + j] = n, u_n[j] = u_;
        h_new[j] = n + z * (h_old[j] - n);
    }
}

/* As lstm_forward; u_n is of each step, or of one. */
void gru_forward(int threads, int T, int B, int H, int saved, REAL *gates, const REAL *U, const REAL *bias,
                 const REAL *gain, const REAL *mask, const uint8_t *keep, REAL share, REAL *raw, REAL *u_n, REAL *h) {
    const int G = 3 * H, BH = B * H, step = G + 3;
    const Groups groups = groups_of(threads, B, H, G);
#pragma omp parallel num_threads(groups.rows * groups.units)
    {
        const Share own = share_of(groups, B, H);
        REAL *room = malloc(sizeof(REAL) * (4 * own.rows * H + 1)), *u = room + own.rows * H;
        Moments *moments = malloc(sizeof(Moments) * (own.rows * 3 + 1));
        for (int t = 0; t < T; t++) {
            const size_t at = ((size_t)t * B + own.row) * H, kept_at = ((size_t)(saved ? t : 0) * B + own.row);
            REAL *a = gates + ((size_t)t * B + own.row) * G;
            const REAL *in = masked(h + at, mask ? mask + (size_t)own.row * H : NULL, room, own.rows * H);
            if (gain) {
                multiply(own.rows, 3, H, H, in, U, own.first, own.last, 0, step, raw + kept_at * step);
                normalise_product(own, 3, H, gain, moments, raw + kept_at * step, 0, u);
            } else {
                multiply(own.rows, 3, H, H, in, U, own.first, own.last, 0, G, u);
            }
            for (int b = 0; b < own.rows; b++) {
                size_t old = at + (size_t)b * H + own.unit, k = (size_t)b * G + own.unit;
                gru_row(own.units, H, u + k, bias + own.unit, a + k, u_n + (kept_at + b) * H + own.unit, h + old,
                        h + old + BH);
                zone_out(own.units, keep ? keep + old : NULL, share, h + old, h + old + BH);
            }
            wait_for_others(own);
        }
        free(room), free(moments);
    }
}

/* d is the gradient of W x + b; d_u that of U h + b, whose candidate part has the reset gate in it. */
INLINE void gru_row_back(int units, int H, int zoneout, const uint8_t *keep, REAL share, const REAL *restrict gates,
                         const REAL *restrict u_n, const REAL *restrict h_old, REAL *restrict d, REAL *restrict d_u,
                         REAL *restrict dh) {
#pragma GCC ivdep
    for (int j = 0; j < units; j++) {
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

/* As lstm_backward. d_raw is d_u without a gain. */
void gru_backward(int threads, int T, int B, int H, const REAL *gates, const REAL *U, const REAL *gain,
                  const REAL *mask, const uint8_t *keep, REAL share, const REAL *raw, const REAL *u_n, const REAL *h,
                  int64_t dh_step, int64_t dh_row, const REAL *dh_out, REAL *d, REAL *d_u, REAL *d_raw, REAL *dh) {
    const int G = 3 * H;
    const Groups groups = groups_of(threads, B, H, G);
#pragma omp parallel num_threads(groups.rows * groups.units)
    {
        const Share own = share_of(groups, B, H);
        REAL *room = malloc(sizeof(REAL) * (own.rows * H + 1)), *dh_ = dh + (size_t)own.row * H;
        for (int t = T - 1; t >= 0; t--) {
            const size_t first = (size_t)t * B + own.row;
            add_gradient(own, H, t, dh_step, dh_row, dh_out, dh_);
            for (int b = 0; b < own.rows; b++) {
                size_t j = (size_t)b * H + own.unit, at = first * H + j, k = (first + b) * G + own.unit;
                if (keep || share)
                    gru_row_back(own.units, H, 1, keep ? keep + at : NULL, share, gates + k, u_n + at, h + at, d + k,
                                 d_u + k, dh_ + j);
                else
                    gru_row_back(own.units, H, 0, NULL, 0, gates + k, u_n + at, h + at, d + k, d_u + k, dh_ + j);
            }
            if (gain) normalise_product_back(own, 3, H, gain, raw + first * (G + 3), d_u + first * G, d_raw + first * G);
            wait_for_others(own);
            through_product(own, H, G, d_raw + first * G, U, mask, room, dh_);
        }
        free(room);
    }
}
