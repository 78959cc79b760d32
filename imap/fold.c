/* fold_next: simple case folding (one character to one, but for the sharp s) for the scripts that have case, from Unicode's ranges;
   composition for the letters that the mail of our languages uses (macOS writes names decomposed).
   fold_name takes in between what libidn knows of Unicode 3.2: full case folding and compatibility ("ﬁ" is "fi", "Ǆ" is "dž", "㎏" is "kg").
   What Exchange makes of those is not documented; Windows' comparison, which it builds on, holds most of them, and "æ" and "ae", for the same. */
#include "imap/fold.h"

#include "engine/base/utf8.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <stringprep.h>

/* Octets that one may become: U+FDFA, three, becomes 33. */
enum { WIDEST = 12 };

/* Capitals at even (or odd) places, each followed by its small letter. */
static const struct {
	uint32_t first, last;
	bool odd;
} pairs[] = {{0x100, 0x12f, false}, {0x132, 0x137, false}, {0x139, 0x148, true}, {0x14a, 0x177, false},
	{0x179, 0x17e, true}, {0x1cd, 0x1dc, true}, {0x1de, 0x1ef, false}, {0x1f8, 0x21f, false}, {0x222, 0x233, false},
	{0x460, 0x481, false}, {0x48a, 0x4bf, false}, {0x4c1, 0x4ce, true}, {0x4d0, 0x52f, false},
	{0x1e00, 0x1e95, false}, {0x1ea0, 0x1eff, false}, {0x23b, 0x23c, true}, {0x241, 0x242, true},
	{0x246, 0x24f, false}, {0x370, 0x373, false}, {0x376, 0x377, false}, {0x2c80, 0x2ce3, false},
	{0xa640, 0xa66d, false}, {0xa722, 0xa72f, false}, {0xa732, 0xa76f, false}};

/* Capitals in a row at a fixed distance from their small letters. */
static const struct {
	uint32_t first, last;
	int32_t distance;
} rows[] = {{'A', 'Z', 32}, {0xc0, 0xd6, 32}, {0xd8, 0xde, 32}, {0x178, 0x178, -121}, {0x17f, 0x17f, 's' - 0x17f},
	{0x386, 0x386, 38}, {0x388, 0x38a, 37}, {0x38c, 0x38c, 64}, {0x38e, 0x38f, 63}, {0x391, 0x3a1, 32},
	{0x3a3, 0x3ab, 32}, {0x3c2, 0x3c2, 1}, {0x400, 0x40f, 80}, {0x410, 0x42f, 32}, {0x4c0, 0x4c0, 15},
	{0x531, 0x556, 48}, {0x1e9e, 0x1e9e, 0xdf - 0x1e9e}, {0x2160, 0x216f, 16}, {0x24b6, 0x24cf, 26},
	{0x130, 0x130, 'i' - 0x130}, {0x1c90, 0x1cbf, -0xbc0}, {0x13a0, 0x13ef, 0x97d0}, {0x2c00, 0x2c2f, 48},
	{0x30a1, 0x30f6, -0x60} /* katakana to hiragana */};

static uint32_t small_letter(uint32_t c)
{
	if (c >= 0xff01 && c <= 0xff5e && c != 0xff0f) /* full width; its slash separates nothing */
		c -= 0xfee0;
	if (c == 0x3000 || c == 0xa0)
		return ' ';
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (c >= rows[i].first && c <= rows[i].last)
			return (uint32_t)((int32_t)c + rows[i].distance);
	}
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (c >= pairs[i].first && c <= pairs[i].last)
			return (c & 1) == (pairs[i].odd ? 1 : 0) ? c + 1 : c;
	}
	return c;
}

/* Soft hyphen, zero width and direction marks, Arabic's lengthening stroke, variation selectors. */
static bool is_ignored(uint32_t c)
{
	return c == 0xad || c == 0x640 || (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x2069) || (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff;
}

/* For each combining mark: small letter and its composition in turn. */
static const struct {
	uint32_t mark;
	const char *letters;
} compositions[] = {
	{0x300, "aàeèiìoòuùnǹyỳwẁеѐиѝ"},
	{0x301, "aáeéiíoóuúyýcćlĺnńrŕsśzźgǵkḱαάεέηήιίοόυύωώгѓкќ"},
	{0x302, "aâeêiîoôuûcĉgĝhĥjĵsŝwŵyŷ"},
	{0x303, "aãnñoõiĩuũvṽyỹeẽ"},
	{0x304, "aāeēiīoōuū"},
	{0x306, "aăeĕgğiĭoŏuŭийуў"},
	{0x307, "cċeėgġzżii"},
	{0x308, "aäeëiïoöuüyÿеёіїιϊυϋ"},
	{0x30a, "aåuů"},
	{0x30b, "oőuű"},
	{0x30c, "cčdďeěnňrřsštťzžlľgǧ"},
	{0x327, "cçsşgģkķlļnņrŗtţ"},
	{0x328, "aąeęiįuųoǫ"},
	{0x653, "اآ"},
	{0x654, "اأوؤيئہۂےۓیئ"},
	{0x655, "اإ"},
};

/* か and U+3099 are が; は and U+309A are ぱ. */
static uint32_t compose_kana(uint32_t letter, uint32_t mark)
{
	bool is_h_row = letter >= 0x306f && letter <= 0x307b && (letter - 0x306f) % 3 == 0;
	if (mark == 0x309a)
		return is_h_row ? letter + 2 : 0;
	bool is_k_to_t = letter >= 0x304b && letter <= 0x3061 && (letter & 1) == 1;
	bool is_late_t = letter == 0x3064 || letter == 0x3066 || letter == 0x3068;
	if (letter == 0x3046)
		return 0x3094;
	return is_k_to_t || is_late_t || is_h_row ? letter + 1 : 0;
}

/* 0: they do not compose. letter is folded. */
static uint32_t compose(uint32_t letter, uint32_t mark)
{
	if (mark == 0x3099 || mark == 0x309a)
		return compose_kana(letter, mark);
	for (size_t i = 0; i < sizeof(compositions) / sizeof(compositions[0]); i++) {
		if (compositions[i].mark != mark)
			continue;
		const char *p = compositions[i].letters;
		for (size_t n = strlen(p); n > 0;) {
			uint32_t base = 0, whole = 0;
			size_t octets = utf8_decode(p, n, &base);
			octets += utf8_decode(p + octets, n - octets, &whole);
			if (base == letter)
				return whole;
			p += octets;
			n -= octets;
		}
	}
	return 0;
}

static bool is_mark(uint32_t c)
{
	return (c >= 0x300 && c <= 0x36f) || (c >= 0x653 && c <= 0x655) || c == 0x3099 || c == 0x309a;
}

/* The folded letter at p with the marks that compose with it, 0 for an ignored character; the octets used up. */
static size_t letter_next(const char *p, size_t n, uint32_t *letter)
{
	uint32_t c = 0, next = 0;
	size_t used = utf8_decode(p, n, &c);
	if (used == 0) {
		*letter = 0xfffd;
		return 1;
	}
	if (is_ignored(c)) {
		*letter = 0;
		return used;
	}
	c = small_letter(c);
	for (size_t more; used < n && (more = utf8_decode(p + used, n - used, &next)) > 0 && is_mark(next);
		used += more) {
		uint32_t whole = compose(c, next);
		if (whole == 0)
			break;
		c = whole;
	}
	*letter = c;
	return used;
}

size_t fold_next(const char *p, size_t n, uint32_t *character)
{
	size_t used = letter_next(p, n, character);
	if (*character != 's')
		return used;
	/* "ss" is the sharp s, as full case folding has it */
	uint32_t next = 0;
	for (size_t at = used; at < n && next == 0;) {
		at += letter_next(p + at, n - at, &next);
		if (next == 's') {
			*character = 0xdf;
			return at;
		}
	}
	return used;
}

/* Yours to free. Valid UTF-8, as an invalid octet becomes U+FFFD. */
static char *fold_once(const char *utf8, size_t room)
{
	size_t n = strlen(utf8), len = 0;
	char *out = malloc(room);
	if (!out)
		return NULL;
	for (size_t i = 0; i < n;) {
		uint32_t c;
		i += fold_next(utf8 + i, n - i, &c);
		bool is_ligature = c == 0xe6 || c == 0x153; /* not to Unicode, but to Windows */
		if (is_ligature)
			out[len++] = c == 0xe6 ? 'a' : 'o';
		if (c != 0)
			len += utf8_encode(is_ligature ? 'e' : c, out + len);
	}
	out[len] = '\0';
	return out;
}

/* The mapping steps of nameprep (RFC 3491), without what it forbids. */
static void widen(char *text, size_t room)
{
	Stringprep_profile steps[8] = {0};
	for (size_t i = 0;
		i + 1 < sizeof steps / sizeof *steps && stringprep_nameprep[i].operation == STRINGPREP_MAP_TABLE; i++)
		steps[i] = stringprep_nameprep[i], steps[i + 1].operation = STRINGPREP_NFKC;
	stringprep(text, room, 0, steps); /* fails where the room is too small: then it stays as it is */
}

char *fold_name(const char *utf8)
{
	size_t n = strlen(utf8), room = WIDEST * n + 1;
	bool is_ascii = true;
	for (size_t i = 0; i < n; i++)
		is_ascii &= (unsigned char)utf8[i] < 0x80;
	char *simple = fold_once(utf8, room), *out = NULL;
	if (is_ascii || !simple)
		return simple;
	widen(simple, room);
	out = fold_once(simple, 3 * strlen(simple) + 1);
	free(simple);
	return out;
}
