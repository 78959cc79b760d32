#include "tests/bench/throttle_plot.h"

#define COLUMNS 3
#define WIDTH 460
#define HEIGHT 210
#define LEFT 46
#define TOP 50
#define STEP_S 60
#define MEAN_S 600 /* two of the windows that bytes are counted in: less shows how each fills them, not how well */

static const char *const colours[POLICIES_SHOWN] = {"#999999", "#d62728", "#1f77b4", "#2ca02c", "#9467bd"};

void plot_begin(FILE *f, size_t panels)
{
	size_t rows = (panels + COLUMNS - 1) / COLUMNS;
	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" "
		"font-family=\"sans-serif\" font-size=\"11\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		COLUMNS * WIDTH + 20, rows * HEIGHT + TOP);
	for (int p = 0; p < POLICIES_SHOWN; p++)
		fprintf(f,
			"<rect x=\"%d\" y=\"12\" width=\"14\" height=\"4\" fill=\"%s\"/><text x=\"%d\" "
			"y=\"18\">%s</text>\n",
			LEFT + p * 110, colours[p], LEFT + 20 + p * 110, policy_name((enum policy)p));
	fprintf(f,
		"<text x=\"%d\" y=\"18\">megabytes a second that the server took, mean of ten minutes; across: "
		"hours</text>\n",
		LEFT + POLICIES_SHOWN * 110);
}

static double mean_mb_per_s(const struct outcome *o, int64_t to)
{
	double sum = 0;
	int64_t from = to < MEAN_S ? 0 : to - MEAN_S;
	for (int64_t at = from; at < to; at++)
		sum += o->per_second[at];
	return to > from ? sum / (double)(to - from) / 1e6 : 0;
}

void plot_panel(FILE *f, size_t panel, const struct scenario *s, const struct outcome out[POLICIES])
{
	double x0 = (double)(panel % COLUMNS) * WIDTH + LEFT, y0 = (double)(panel / COLUMNS) * HEIGHT + TOP;
	double w = WIDTH - LEFT - 20, h = HEIGHT - 60, most = 0;
	for (int64_t t = MEAN_S; t < s->seconds; t += STEP_S)
		for (int p = 0; p <= POLICY_OURS; p++)
			if (mean_mb_per_s(&out[p], t) > most)
				most = mean_mb_per_s(&out[p], t);
	most = most > 0 ? most * 1.1 : 1;
	fprintf(f,
		"<text x=\"%.0f\" y=\"%.0f\" font-weight=\"bold\">%s</text><text x=\"%.0f\" "
		"y=\"%.0f\">%.2f</text>\n"
		"<rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\" fill=\"none\" "
		"stroke=\"#ccc\"/>\n",
		x0, y0 + 12, s->name, x0 - 36, y0 + 28, most, x0, y0 + 20, w, h);
	for (int64_t t = 3600; t < s->seconds; t += 3600)
		fprintf(f, "<text x=\"%.0f\" y=\"%.0f\">%d h</text>\n", x0 + w * (double)t / (double)s->seconds - 6,
			y0 + h + 34, (int)(t / 3600));
	for (int p = POLICIES_SHOWN - 1; p >= 0; p--) { /* ours above the others */
		int which = p == 1 ? 0 : p == 0 ? 1 : p;
		fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"%s\" points=\"", colours[which],
			which <= 1 ? "1.4" : "0.7");
		for (int64_t t = MEAN_S; t < s->seconds; t += STEP_S) {
			double v = mean_mb_per_s(&out[which], t) / most;
			fprintf(f, "%.1f,%.1f ", x0 + w * (double)t / (double)s->seconds,
				y0 + 20 + h * (1 - (v > 1 ? 1 : v)));
		}
		fprintf(f, "\"/>\n");
	}
}

void plot_end(FILE *f)
{
	fprintf(f, "</svg>\n");
}
