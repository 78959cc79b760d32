/* An id is "AAMkA" (folders, messages) or "AAkAL" (immutable), then base64url of a tag of 16 octets and 56 masked ones. The tag is a keyed
   digest of the plain octets; it is also what the mask is made from, so that ids of neighbours have nothing in common. Real ones have
   about 120 to 152 characters, with "-", "_" and "=" among them. */
#include "upload/exosim/graph_id.h"

#include "upload/exosim/jwt.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAG 16
#define PLAIN 56
#define PREFIX "AAMkA"
#define PREFIX_IMMUTABLE "AAkAL"

static void keyed(unsigned char out[32], const char *mailbox, const char *what, const unsigned char *data, size_t n)
{
	char key[400];
	unsigned len = 32;
	size_t at;

	snprintf(key, sizeof(key), "exosim graph id %s ", what);
	at = strlen(key);
	for (const char *c = mailbox; *c && at < sizeof(key) - 1; c++)
		key[at++] = (char)tolower((unsigned char)*c);
	HMAC(EVP_sha256(), key, (int)at, data, n, out, &len);
}

static void mask(unsigned char *data, const char *mailbox, const unsigned char tag[TAG])
{
	unsigned char stream[32] = {0}, seed[TAG + 1];

	memcpy(seed, tag, TAG);
	for (size_t i = 0; i < PLAIN; i++) {
		if (i % 32 == 0) {
			seed[TAG] = (unsigned char)(i / 32);
			keyed(stream, mailbox, "mask", seed, sizeof(seed));
		}
		data[i] ^= stream[i % 32];
	}
}

static void put32(unsigned char *to, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		to[i] = (unsigned char)(v >> (24 - 8 * i));
}

static uint32_t get32(const unsigned char *from)
{
	return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

void graph_id_format(char out[GRAPH_ID_TEXT], const char *mailbox, const struct graph_id *id)
{
	unsigned char raw[TAG + PLAIN] = {0}, digest[32], *plain = raw + TAG;
	bool is_immutable = id->is_message && id->is_immutable;
	char *text;

	memcpy(plain, id->guid, 16);
	plain[16] = id->is_message ? 'm' : 'f';
	plain[17] = is_immutable;
	put32(plain + 18, id->is_message ? id->uidvalidity : 0);
	put32(plain + 22, id->is_message ? id->uid : 0);
	keyed(digest, mailbox, "tag", plain, PLAIN);
	memcpy(raw, digest, TAG);
	mask(plain, mailbox, raw);
	text = jwt_encode(raw, sizeof(raw));
	snprintf(out, GRAPH_ID_TEXT, "%s%s=", is_immutable ? PREFIX_IMMUTABLE : PREFIX, text);
	free(text);
}

bool graph_id_parse(struct graph_id *id, const char *mailbox, const char *text)
{
	size_t n = strlen(text), prefix = sizeof(PREFIX) - 1, got = 0;
	unsigned char *raw, digest[32], *plain;
	bool ok = false;

	if (n <= prefix + 1 || n >= GRAPH_ID_TEXT || text[n - 1] != '=' ||
		(strncmp(text, PREFIX, prefix) != 0 && strncmp(text, PREFIX_IMMUTABLE, prefix) != 0))
		return false;
	raw = jwt_decode(text + prefix, n - prefix - 1, &got);
	if (raw && got == TAG + PLAIN) {
		plain = raw + TAG;
		mask(plain, mailbox, raw);
		keyed(digest, mailbox, "tag", plain, PLAIN);
		ok = memcmp(digest, raw, TAG) == 0;
		*id = (struct graph_id){.is_message = plain[16] == 'm',
			.is_immutable = plain[17] != 0,
			.uidvalidity = get32(plain + 18),
			.uid = get32(plain + 22)};
		memcpy(id->guid, plain, sizeof(id->guid));
	}
	free(raw);
	return ok;
}

void graph_id_of_user(char out[40], const char *address)
{
	unsigned char d[32];

	keyed(d, address, "user", NULL, 0);
	snprintf(out, 40, "%02x%02x%02x%02x-%02x%02x-4%x%02x-a%x%02x-%02x%02x%02x%02x%02x%02x", d[0], d[1], d[2], d[3],
		d[4], d[5], d[6] & 15u, d[7], d[8] & 15u, d[9], d[10], d[11], d[12], d[13], d[14], d[15]);
}
