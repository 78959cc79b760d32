/* One easy handle driven through a multi handle, so that a stop token wakes a transfer at once (curl_multi_poll with its descriptor)
   and so that connections are kept from one request to the next.

   curl sends a request again by itself when a kept connection dies before the first octet of an answer. For an upload that would be
   a second copy of a message: the server may have committed the first. So the hook that curl calls before each attempt refuses
   another one once the whole body was handed over; the caller then sees LOST with body_sent and settles. */
#include "upload/http.h"

#include "engine/base/clock.h"
#include "engine/base/failpoint.h"
#include "engine/base/log.h"
#include "upload/http_body.h"

#include <assert.h>
#include <curl/curl.h>
#include <openssl/rand.h>
#include <strings.h>

#define HEADERS_CAP ((size_t)128 * 1024)
#define ANSWER_CAP ((size_t)1024 * 1024)
#define POLL_MS 1000
#define LONGEST_RETRY_S ((int64_t)7 * 24 * 3600)

struct http {
	CURL *easy;
	CURLM *multi;
	struct stop *stop; /* borrowed */
	char *ca_file;     /* owned */
	struct gate *gate; /* borrowed; may be NULL */
	int connect_ms, silence_ms;
};

/* One http_send. */
struct transfer {
	struct http *h;
	const struct request *request;
	struct response *out;
	struct http_body body;
	size_t header_octets;
	unsigned attempts;
	unsigned passed;           /* failpoints of this transfer */
	bool again;                /* curl wanted to send a request that may have been acted on */
	bool cut;                  /* a stop came, and the rest would take too long at the pace that is set */
	bool answer_big;           /* the answer passed its cap */
	struct err into_err;       /* the answer could not be kept in its spool */
	char host[256], path[256]; /* for messages: never the query */
	char detail[CURL_ERROR_SIZE];
};

void http_init(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

int http_new(struct http **out, const struct http_conf *conf, struct stop *stop, struct err *err)
{
	*out = NULL;
	struct http *h = calloc(1, sizeof(*h));
	if (!h)
		return err_set(err, ERR_MEMORY, "no memory for an HTTPS client");
	h->stop = stop;
	h->gate = conf ? conf->gate : NULL;
	h->connect_ms = conf && conf->connect_ms > 0 ? conf->connect_ms : 30000;
	h->silence_ms = conf && conf->silence_ms > 0 ? conf->silence_ms : 120000;
	h->ca_file = conf && conf->ca_file ? strdup(conf->ca_file) : NULL;
	h->easy = curl_easy_init();
	h->multi = curl_multi_init();
	if (!h->easy || !h->multi || (conf && conf->ca_file && !h->ca_file)) {
		http_free(&h);
		return err_set(err, ERR_MEMORY, "no memory for an HTTPS client");
	}
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, 4L);
	*out = h;
	return 0;
}

void http_free(struct http **h)
{
	if (!*h)
		return;
	curl_easy_cleanup((*h)->easy);
	curl_multi_cleanup((*h)->multi);
	free((*h)->ca_file);
	free(*h);
	*h = NULL;
}

void response_done(struct response *r)
{
	buf_done(&r->body);
}

void http_guid(char out[HTTP_GUID])
{
	unsigned char b[16];
	if (RAND_bytes(b, sizeof(b)) != 1)
		abort(); /* no random numbers: nothing that follows would be safe */
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	snprintf(out, HTTP_GUID, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

int64_t http_parse_retry_after(const char *value, int64_t now_s)
{
	int64_t s = -1;
	value += strspn(value, " \t");
	size_t digits = strspn(value, "0123456789");
	if (digits > 0) {
		if (value[digits + strspn(value + digits, " \t")])
			return -1;
		s = digits > 9 ? LONGEST_RETRY_S : strtoll(value, NULL, 10);
	} else {
		time_t at = curl_getdate(value, NULL);
		if (at == (time_t)-1)
			return -1;
		s = (int64_t)at > now_s ? (int64_t)at - now_s : 0;
	}
	return (s > LONGEST_RETRY_S ? LONGEST_RETRY_S : s) * 1000;
}

/* --- what is sent --- */

static size_t on_read(char *to, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t got, room = size * count, piece = gate_piece(t->h->gate);
	t->cut = gate_gives_up(t->h->gate, t->body.total - t->body.handed);
	if (t->cut || !http_body_read(&t->body, to, room < piece ? room : piece, &got))
		return CURL_READFUNC_ABORT;
	gate_pace(t->h->gate, got);
	return got;
}

/* May all of the request have left? A GET has no effect, so it may go again. */
static bool may_be_acted_on(const struct transfer *t)
{
	return t->attempts > 0 && t->body.handed == t->body.total && strcmp(t->request->method, "GET") != 0;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct transfer *t = arg;
	if (offset != 0 || origin != SEEK_SET)
		return CURL_SEEKFUNC_FAIL;
	if (t->body.total > 0 && may_be_acted_on(t)) {
		t->again = true;
		return CURL_SEEKFUNC_FAIL;
	}
	http_body_rewind(&t->body);
	return CURL_SEEKFUNC_OK;
}

static int on_attempt(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct transfer *t = arg;
	(void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
	if (may_be_acted_on(t)) {
		t->again = true;
		return CURL_PREREQFUNC_ABORT;
	}
	t->attempts++;
	http_body_rewind(&t->body);
	return CURL_PREREQFUNC_OK;
}

/* --- the answer --- */

/* 0, or 1 for what goes into the response. */
static int body_into_spool(struct transfer *t, const char *data, size_t n)
{
	const struct request *r = t->request;
	long status = 0;
	curl_easy_getinfo(t->h->easy, CURLINFO_RESPONSE_CODE, &status);
	if (!r->into || status != 200)
		return 1;
	t->answer_big = n > r->into_cap || spool_size(r->into) > r->into_cap - n;
	return t->answer_big ? -1 : spool_write(r->into, data, n, &t->into_err);
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	struct err ignored = ERR_INIT;
	int into = body_into_spool(t, data, size * count);
	gate_pace(t->h->gate, size * count);
	if (into <= 0)
		return into == 0 ? size * count : 0;
	if (buf_add(&t->out->body, data, size * count, &ignored)) {
		t->answer_big = true;
		return 0;
	}
	return size * count;
}

/* The value of a header if it has that name, trimmed into out. */
static bool header_is(const char *line, size_t n, const char *name, char *out, size_t room)
{
	size_t len = strlen(name);
	if (n <= len || strncasecmp(line, name, len) != 0 || line[len] != ':')
		return false;
	const char *v = line + len + 1, *end = line + n;
	while (v < end && (*v == ' ' || *v == '\t'))
		v++;
	while (end > v && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\t'))
		end--;
	size_t i = 0;
	for (; v < end && i + 1 < room; v++)
		out[i++] = *v >= ' ' && *v < 127 ? *v : '?';
	out[i] = '\0';
	return true;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t n = size * count;
	char text[96];
	t->header_octets += n;
	if (t->header_octets > HEADERS_CAP) {
		t->answer_big = true;
		return 0;
	}
	if (header_is(data, n, "Retry-After", text, sizeof(text)))
		t->out->retry_after_ms = http_parse_retry_after(text, clock_wall_s());
	else if (header_is(data, n, "request-id", text, sizeof(text)) ||
		 header_is(data, n, "x-ms-request-id", text, sizeof(text)))
		snprintf(t->out->request_id, sizeof(t->out->request_id), "%.63s", text);
	return n;
}

/* --- one request --- */

static bool headers_add(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);
	if (longer)
		*list = longer;
	return longer;
}

static struct curl_slist *headers_make(const struct transfer *t, struct err *err)
{
	const struct request *r = t->request;
	struct curl_slist *list = NULL;
	char id[80], type[256];
	snprintf(id, sizeof(id), "client-request-id: %s", t->out->client_request_id);
	/* curl's own default is a form's type: an empty value removes it */
	snprintf(type, sizeof(type), "Content-Type:%s%s", r->content_type ? " " : "",
		r->content_type ? r->content_type : "");
	bool fine = headers_add(&list, "Expect:") && headers_add(&list, id) && headers_add(&list, type);
	for (const char *const *h = r->headers; fine && h && *h; h++)
		fine = headers_add(&list, *h);
	if (fine)
		return list;
	curl_slist_free_all(list);
	err_set(err, ERR_MEMORY, "no memory for a request");
	return NULL;
}

static void options_body(struct transfer *t)
{
	CURL *e = t->h->easy;
	const char *method = t->request->method;
	if (!strcmp(method, "GET") && !t->request->content_type) {
		curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
		return;
	}
	if (t->request->content_type || !strcmp(method, "POST")) {
		curl_easy_setopt(e, CURLOPT_POST, 1L);
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body.total);
		curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(e, CURLOPT_READDATA, t);
		curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(e, CURLOPT_SEEKDATA, t);
	}
	if (strcmp(method, "POST") != 0)
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
}

static void options_set(struct transfer *t, struct curl_slist *headers)
{
	struct http *h = t->h;
	CURL *e = h->easy;
	long silence_s = (h->silence_ms + 999) / 1000;
	curl_easy_reset(e); /* connections and TLS sessions stay */
	curl_easy_setopt(e, CURLOPT_URL, t->request->url);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	if (h->ca_file) {
		curl_easy_setopt(e, CURLOPT_CAINFO, h->ca_file);
		curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	}
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, 128L * 1024);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* a stop does not wait for a resolver that hangs */
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)h->connect_ms);
	curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, silence_s);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "nightferry");
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
	if (t->request->bearer) { /* curl keeps its own copy, and never sends it to another host */
		curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		curl_easy_setopt(e, CURLOPT_XOAUTH2_BEARER, secret_bytes(t->request->bearer));
	}
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_attempt);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->detail);
	options_body(t);
}

#ifdef NF_FAILPOINTS
/* Kills a message's upload half way, and once its last octet was written to the connection. */
static void failpoints(struct transfer *t)
{
	curl_off_t sent = 0;
	if (!t->request->spool)
		return;
	curl_easy_getinfo(t->h->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	if (t->passed < 1 && sent > 0 && t->body.handed * 2 >= t->body.total) {
		t->passed = 1;
		failpoint_hit(FP_PUT_MID_LITERAL);
	}
	if (t->passed < 2 && sent > 0 && (uint64_t)sent == t->body.total) {
		t->passed = 2;
		failpoint_hit(FP_PUT_AFTER_LAST_BYTE);
	}
}
#else
static void failpoints(struct transfer *t)
{
	(void)t;
}
#endif

/* Runs the transfer to its end. 0: *code is curl's verdict. -1: stopped. */
static int run(struct transfer *t, CURLcode *code, struct err *err)
{
	struct http *h = t->h;
	int fd = stop_fd(h->stop, STOP_NOW), running = 1, left;
	*code = CURLE_OUT_OF_MEMORY;
	if (curl_multi_add_handle(h->multi, h->easy) != CURLM_OK)
		return 0;
	int rc = 0;
	while (running) {
		if (stop_is_now(h->stop)) {
			rc = err_set(err, ERR_STOPPED, "stopped");
			break;
		}
		struct curl_waitfd wake = {.fd = fd, .events = CURL_WAIT_POLLIN};
		if (curl_multi_perform(h->multi, &running) != CURLM_OK)
			break;
		failpoints(t);
		if (running)
			curl_multi_poll(h->multi, fd >= 0 ? &wake : NULL, fd >= 0 ? 1 : 0, POLL_MS, NULL);
	}
	for (CURLMsg *m; (m = curl_multi_info_read(h->multi, &left));) {
		if (m->msg == CURLMSG_DONE && m->easy_handle == h->easy)
			*code = m->data.result;
	}
	curl_multi_remove_handle(h->multi, h->easy);
	return rc;
}

static curl_off_t info_time(CURL *e, CURLINFO what)
{
	curl_off_t v = 0;
	curl_easy_getinfo(e, what, &v);
	return v;
}

static int timed_out(struct transfer *t, struct err *err)
{
	CURL *e = t->h->easy;
	if (info_time(e, CURLINFO_NAMELOOKUP_TIME_T) == 0 && t->attempts == 0)
		return err_set(err, ERR_DNS, "%s: the name server does not answer", t->host);
	if (info_time(e, CURLINFO_CONNECT_TIME_T) == 0 && t->attempts == 0) {
		err_set(err, ERR_FIREWALL, "%s: no TCP connection in time", t->host);
		err_hint(err, "allow outgoing connections to this host and port, or set https_proxy");
		return -1;
	}
	if (t->attempts == 0)
		return err_set(err, ERR_TLS, "%s: the TLS handshake did not finish in time", t->host);
	return err_set(err, ERR_LOST, "%s: silent for %d s", t->host, t->h->silence_ms / 1000);
}

/* Names what went wrong when no answer came. */
static int typed_failure(struct transfer *t, CURLcode code, struct err *err)
{
	const char *why = t->detail[0] ? t->detail : curl_easy_strerror(code);
	if (t->answer_big)
		return err_set(err, ERR_PROTOCOL, "%s: the answer is larger than it may be", t->host);
	if (t->body.failed || t->into_err.kind != ERR_NONE) {
		*err = t->body.failed ? t->body.err : t->into_err;
		return err_wrap(err, "%s", t->host);
	}
	if (t->cut)
		return err_set(err, ERR_STOPPED, "stopped in the middle of a request");
	if (t->again)
		return err_set(err, ERR_LOST, "%s: the connection ended before the answer", t->host);
	if (t->attempts > 0 && (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY))
		return err_set(err, ERR_PROTOCOL, "%s: the answer is not HTTP", t->host);
	switch ((int)code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		err_set(err, ERR_DNS, "%s: the name does not resolve", t->host);
		err_hint(err, "check the name and this machine's name server");
		return -1;
	case CURLE_COULDNT_CONNECT:
	case CURLE_PROXY:
		err_set(err, ERR_FIREWALL, "%s: no TCP connection: %s", t->host, why);
		err_hint(err, "allow outgoing connections to this host and port, or set https_proxy");
		return -1;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
		err_set(err, ERR_CERTIFICATE, "%s: its certificate is not accepted: %s", t->host, why);
		err_hint(err, "if a proxy of your own inspects TLS, give its certificate with --ca-file; "
			      "else somebody is in between");
		return -1;
	case CURLE_SSL_CACERT_BADFILE:
		return err_set(err, ERR_USAGE, "the file of trusted certificates %s cannot be used",
			t->h->ca_file ? t->h->ca_file : "of the system");
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
	case CURLE_USE_SSL_FAILED:
		return err_set(err, ERR_TLS, "%s: the TLS handshake failed: %s", t->host, why);
	case CURLE_OPERATION_TIMEDOUT:
		return timed_out(t, err);
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
		return err_set(err, ERR_USAGE, "%s: not an https URL that can be used", t->host);
	case CURLE_OUT_OF_MEMORY:
		return err_set(err, ERR_MEMORY, "%s: no memory for a request", t->host);
	default:
		return err_set(err, ERR_LOST, "%s: the connection broke: %s", t->host, why);
	}
}

/* Host and path for messages; what follows them may be a secret. */
static void name_parts(struct transfer *t)
{
	snprintf(t->host, sizeof(t->host), "the HTTPS server");
	CURLU *u = curl_url();
	char *s = NULL;
	if (!u || curl_url_set(u, CURLUPART_URL, t->request->url, 0) != CURLUE_OK)
		goto out;
	if (curl_url_get(u, CURLUPART_HOST, &s, 0) == CURLUE_OK) {
		snprintf(t->host, sizeof(t->host), "%s", s);
		curl_free(s);
	}
	if (curl_url_get(u, CURLUPART_PATH, &s, 0) == CURLUE_OK) {
		snprintf(t->path, sizeof(t->path), "%s", s);
		curl_free(s);
	}
out:
	curl_url_cleanup(u);
}

static void response_init(struct response *out, const struct request *r)
{
	*out = (struct response){.retry_after_ms = -1};
	buf_init(&out->body, r->answer_cap ? r->answer_cap : ANSWER_CAP);
	http_guid(out->client_request_id);
}

int http_send(struct http *h, const struct request *r, struct permit *permit, struct response *out, struct err *err)
{
	assert(permit || !r->bearer);
	response_init(out, r);
	struct transfer t = {.h = h, .request = r, .out = out, .into_err = ERR_INIT};
	http_body_init(&t.body, r);
	name_parts(&t);
	struct curl_slist *headers = headers_make(&t, err);
	if (!headers)
		return -1;
	options_set(&t, headers);
	int64_t begun = clock_mono_ms(), paced = gate_paced_ms(h->gate);
	CURLcode code;
	int rc = run(&t, &code, err);
	out->latency_ms = (unsigned)(clock_mono_ms() - begun - (gate_paced_ms(h->gate) - paced));
	curl_off_t sent = 0;
	long status = 0;
	curl_easy_getinfo(h->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
	out->sent_bytes = sent > 0 ? (uint64_t)sent : 0;
	out->body_sent = t.attempts > 0 && t.body.handed == t.body.total;
	if (rc == 0 && code == CURLE_OK)
		out->status = (int)status;
	else if (rc == 0)
		rc = typed_failure(&t, code, err);
	log_line(LOG_DEBUG, "https %s %s%s: %s%d, %llu octets sent, %u ms, client-request-id %s", r->method, t.host,
		t.path, rc ? "no answer " : "", (int)status, (unsigned long long)out->sent_bytes, out->latency_ms,
		out->client_request_id);
	curl_easy_reset(h->easy); /* forgets the bearer and what points into this frame */
	curl_slist_free_all(headers);
	http_body_done(&t.body);
	return rc;
}
