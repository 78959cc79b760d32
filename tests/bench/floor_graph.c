/* The floor of the benchmark for the route mime: one FETCH a folder over bare OpenSSL, and each message in base64 by a bare libcurl handle to
   importMime, as many at once as Graph allows, connections kept. No checkpoint, no hash, no throttle, no look at the answer but its status.
   usage: FLOOR_TOKEN=… floor_graph SRC_PORT SRC_USER SRC_PASS GRAPH_URL ADDRESS CA FOLDER FOLDER_ID … */
#include "tests/bench/floor_wire.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define AT_ONCE 4
#define QUEUE 16
#define URL 2048

struct post {
	char *body; /* owned */
	long bytes;
	const char *folder_id;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct post post[QUEUE];
	size_t first, count;
	bool ended;
	const char *url, *address, *ca;
	struct curl_slist *headers;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void give(struct post p)
{
	pthread_mutex_lock(&queue.lock);
	while (queue.count == QUEUE)
		pthread_cond_wait(&queue.changed, &queue.lock);
	queue.post[(queue.first + queue.count++) % QUEUE] = p;
	pthread_cond_broadcast(&queue.changed);
	pthread_mutex_unlock(&queue.lock);
}

static bool take(struct post *p)
{
	pthread_mutex_lock(&queue.lock);
	while (!queue.count && !queue.ended)
		pthread_cond_wait(&queue.changed, &queue.lock);
	bool any = queue.count > 0;
	if (any) {
		*p = queue.post[queue.first];
		queue.first = (queue.first + 1) % QUEUE;
		queue.count--;
		pthread_cond_broadcast(&queue.changed);
	}
	pthread_mutex_unlock(&queue.lock);
	return any;
}

static size_t drop(char *data, size_t size, size_t n, void *ctx)
{
	(void)data;
	(void)ctx;
	return size * n;
}

static void *send_all(void *ctx)
{
	CURL *c = curl_easy_init();
	struct post p;
	char url[URL];
	if (!c)
		floor_die("no handle");
	curl_easy_setopt(c, CURLOPT_CAINFO, queue.ca);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, queue.headers);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, drop);
	while (take(&p)) {
		long status = 0;
		snprintf(url, sizeof(url), "%s/beta/users/%s/mailFolders/%s/importMime", queue.url, queue.address,
			p.folder_id);
		curl_easy_setopt(c, CURLOPT_URL, url);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, p.body);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, p.bytes);
		CURLcode rc = curl_easy_perform(c);
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
		if (rc != CURLE_OK || status != 201) {
			fprintf(stderr, "floor_graph: %s, status %ld\n", curl_easy_strerror(rc), status);
			exit(1);
		}
		free(p.body);
	}
	curl_easy_cleanup(c);
	return ctx;
}

/* The literal that follows a line, in base64. */
static struct post read_post(struct wire *from, size_t left, const char *folder_id)
{
	unsigned char *raw = malloc(left + 1);
	struct post p = {.body = malloc((left + 2) / 3 * 4 + 1), .folder_id = folder_id};
	size_t have = 0;
	if (!raw || !p.body)
		floor_die("no memory");
	while (have < left) {
		if (from->at == from->end)
			floor_fill(from);
		size_t part = from->end - from->at;
		part = part < left - have ? part : left - have;
		memcpy(raw + have, from->in + from->at, part);
		from->at += part;
		have += part;
	}
	p.bytes = EVP_EncodeBlock((unsigned char *)p.body, raw, (int)left);
	free(raw);
	return p;
}

static void move(struct wire *from, const char *folder, const char *folder_id)
{
	char line[FLOOR_LINE];
	floor_fetch(from, folder);
	while (floor_next(from, line)) {
		give(read_post(from, strtoul(floor_cut(line, "{", '}', "no literal"), NULL, 10), folder_id));
		floor_line(from, line); /* ")" */
	}
}

int main(int argc, char **argv)
{
	const char *token = getenv("FLOOR_TOKEN");
	pthread_t sender[AT_ONCE];
	char header[FLOOR_LINE];
	if (argc < 9 || !token) {
		fputs("usage: FLOOR_TOKEN=... floor_graph SRC_PORT SRC_USER SRC_PASS GRAPH_URL ADDRESS CA FOLDER "
		      "ID...\n",
			stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	queue.url = argv[4];
	queue.address = argv[5];
	queue.ca = argv[6];
	snprintf(header, sizeof(header), "Authorization: Bearer %s", token);
	queue.headers = curl_slist_append(curl_slist_append(NULL, header), "Content-Type: text/plain");
	queue.headers = curl_slist_append(queue.headers, "Expect:");
	struct wire *from = floor_dial(floor_trust(argv[6]), argv[1]);
	floor_login(from, argv[2], argv[3]);
	for (int i = 0; i < AT_ONCE; i++)
		pthread_create(&sender[i], NULL, send_all, NULL);
	for (int i = 7; i + 1 < argc; i += 2)
		move(from, argv[i], argv[i + 1]);
	pthread_mutex_lock(&queue.lock);
	queue.ended = true;
	pthread_cond_broadcast(&queue.changed);
	pthread_mutex_unlock(&queue.lock);
	for (int i = 0; i < AT_ONCE; i++)
		pthread_join(sender[i], NULL);
	floor_put(from, "x LOGOUT\r\n", 10);
	floor_flush(from);
	return 0;
}
