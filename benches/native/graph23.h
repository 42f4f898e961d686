// The 23 outputs of benches/graph23.py as plain C: the least that one event can cost. Running sums, O(1) an event but
// for the rank; one instrument; no validity, no snapshot, and the sums drift, since what left a window is subtracted.
//
// Until a window is full its outputs are those of a window filled up with zeros: ignore them. Exponential means begin at
// the first value, and a rank takes it that no two closes of a window are equal.
#ifndef GRAPH23_H
#define GRAPH23_H
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { FIELDS = 16, OUTPUTS = 23, RING = 64, NEWEST = RING - 1, SHORT = 20, LONG = 60, SQUARES = 30 };

// The fields of a row, in its order.
enum { HIGH, LOW, CLOSE, VOLUME, BID_PRICE, ASK_PRICE, BID_QTY, ASK_QTY = BID_QTY + 5 };

// sqrt(n (n - 1)) / (n - 2) for n = 60.
static const double SKEW_UNBIASED = 1.0258258469409323;

// Candidates for an extreme, best first: each is worse than all before it and newer.
typedef struct {
    double value[RING];
    uint64_t event[RING];
    uint32_t first, end;
} candidates_t;

typedef struct {
    uint64_t events;
    double origin;  // the first close: sums are of differences from it, which keeps their digits
    double close[RING], volume[RING], turnover[RING], squares[RING];
    double sum_short, sum2_short, sum_long, sum2_long, sum3_long;
    double sum_volume, sum2_volume, sum_cross, sum_turnover, sum_squares;
    double fast, slow, gain, loss, range;
    double close_before, bid_price, bid_qty, ask_price, ask_qty;
    candidates_t lowest, highest;
} graph23_t;

static void graph23_reset(graph23_t *g) { memset(g, 0, sizeof *g); }

static inline double lowest_of(candidates_t *c, double x, uint64_t event) {
    while (c->end != c->first && c->value[(c->end - 1) & NEWEST] >= x) c->end--;
    c->value[c->end & NEWEST] = x;
    c->event[c->end++ & NEWEST] = event;
    if (c->event[c->first & NEWEST] + LONG <= event) c->first++;
    return c->value[c->first & NEWEST];
}

static inline double highest_of(candidates_t *c, double x, uint64_t event) {
    while (c->end != c->first && c->value[(c->end - 1) & NEWEST] <= x) c->end--;
    c->value[c->end & NEWEST] = x;
    c->event[c->end++ & NEWEST] = event;
    if (c->event[c->first & NEWEST] + LONG <= event) c->first++;
    return c->value[c->first & NEWEST];
}

static inline double root(double x) { return sqrt(x > 0 ? x : 0); }

static inline void graph23_update(graph23_t *g, const double *in, double *out) {
    const uint64_t n = g->events++;
    const double close = in[CLOSE], volume = in[VOLUME];
    if (n == 0) {
        g->origin = g->close_before = g->fast = g->slow = close;
        g->bid_price = in[BID_PRICE], g->bid_qty = in[BID_QTY];
        g->ask_price = in[ASK_PRICE], g->ask_qty = in[ASK_QTY];
    }
    const double x = close - g->origin;
    const double log_return = log(close / g->close_before);

    // What enters the windows, and what leaves them: zeros of the empty ring until they are full.
    const double turnover = (in[HIGH] + in[LOW] + close) / 3 * volume, square = log_return * log_return;
    const uint32_t newest = n & NEWEST, oldest = (n - LONG) & NEWEST;
    const double left_short = g->close[(n - SHORT) & NEWEST], left_long = g->close[oldest];
    const double left_volume = g->volume[oldest];
    g->sum_short += x - left_short;
    g->sum2_short += x * x - left_short * left_short;
    g->sum_long += x - left_long;
    g->sum2_long += x * x - left_long * left_long;
    g->sum3_long += x * x * x - left_long * left_long * left_long;
    g->sum_volume += volume - left_volume;
    g->sum2_volume += volume * volume - left_volume * left_volume;
    g->sum_cross += x * volume - left_long * left_volume;
    g->sum_turnover += turnover - g->turnover[oldest];
    g->sum_squares += square - g->squares[(n - SQUARES) & NEWEST];
    g->close[newest] = x, g->volume[newest] = volume, g->turnover[newest] = turnover, g->squares[newest] = square;

    const double mean_short = g->sum_short / SHORT;
    const double m2_short = g->sum2_short - g->sum_short * mean_short;
    const double mean_long = g->sum_long / LONG, mean_volume = g->sum_volume / LONG;
    const double m2_long = g->sum2_long - g->sum_long * mean_long;
    const double std_short = root(m2_short / (SHORT - 1)), std_long = root(m2_long / (LONG - 1));
    out[0] = log_return;
    out[1] = mean_short + g->origin;
    out[2] = std_short;
    out[3] = (x - mean_short) / std_short;
    out[4] = mean_long + g->origin;
    out[5] = std_long;
    out[6] = (x - mean_long) / std_long;

    g->fast += (close - g->fast) * (2.0 / 13);
    g->slow += (close - g->slow) * (2.0 / 27);
    out[7] = g->fast;
    out[8] = g->slow;
    out[9] = g->fast - g->slow;
    const double change = close - g->close_before;
    g->gain += ((change > 0 ? change : 0) - g->gain) / 14;
    g->loss += ((change < 0 ? -change : 0) - g->loss) / 14;
    out[10] = 100 * g->gain / (g->gain + g->loss);
    const double top = in[HIGH] > g->close_before ? in[HIGH] : g->close_before;
    const double bottom = in[LOW] < g->close_before ? in[LOW] : g->close_before;
    g->range += (top - bottom - g->range) / 14;
    out[11] = g->range;
    const double band = 2 * root(m2_short / SHORT);
    out[12] = (x - mean_short + band) / (2 * band);

    out[13] = lowest_of(&g->lowest, close, n);
    out[14] = highest_of(&g->highest, close, n);
    const double m2_volume = g->sum2_volume - g->sum_volume * mean_volume;
    out[15] = (g->sum_cross - g->sum_long * mean_volume) / sqrt(m2_long * m2_volume);
    const double variance = m2_long / LONG;
    const double third = g->sum3_long / LONG - mean_long * (3 * g->sum2_long / LONG - 2 * mean_long * mean_long);
    out[16] = SKEW_UNBIASED * third / (variance * sqrt(variance));
    int below = 0;
    for (uint32_t back = 1; back < LONG; back++) below += g->close[(n - back) & NEWEST] < x;
    out[17] = (below + 1.0) / LONG;
    out[18] = g->sum_turnover / g->sum_volume;
    out[19] = root(g->sum_squares);

    const double *bid = in + BID_QTY, *ask = in + ASK_QTY;
    const double bids = bid[0] + bid[1] + bid[2] + bid[3] + bid[4], asks = ask[0] + ask[1] + ask[2] + ask[3] + ask[4];
    out[20] = (bids - asks) / (bids + asks);
    out[21] = (in[ASK_PRICE] * bid[0] + in[BID_PRICE] * ask[0]) / (bid[0] + ask[0]);
    double flow = 0;
    if (in[BID_PRICE] >= g->bid_price) flow += bid[0];
    if (in[BID_PRICE] <= g->bid_price) flow -= g->bid_qty;
    if (in[ASK_PRICE] <= g->ask_price) flow -= ask[0];
    if (in[ASK_PRICE] >= g->ask_price) flow += g->ask_qty;
    out[22] = flow;

    g->close_before = close;
    g->bid_price = in[BID_PRICE], g->bid_qty = bid[0];
    g->ask_price = in[ASK_PRICE], g->ask_qty = ask[0];
}
#endif
