#include "imap/tls.h"

#include "engine/base/clock.h"
#include "imap/dial.h"
#include "imap/repair.h"
#include "imap/tls_sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

struct tls {
	struct tls_sock *sock; /* owned; outlives ssl */
	SSL *ssl;              /* owned */
	SSL_CTX *ctx;          /* owned; one a connection: it costs a parse of the CA file, which the sign-in dwarfs */
};

/* What the verify callback learns while the handshake runs. */
struct check {
	struct tls_facts *facts;
	bool accept_any;
	int first_error; /* X509_V_ERR_*; of the leaf or its chain */
	char names[256]; /* that the certificate is for */
};

static const char *last_reason(char *out, size_t size)
{
	unsigned long e = ERR_peek_last_error();

	if (e && ERR_reason_error_string(e))
		snprintf(out, size, "%s", ERR_reason_error_string(e));
	else
		snprintf(out, size, "%s", errno ? strerror(errno) : "the connection was closed");
	ERR_clear_error();
	return out;
}

/* Issuers that products put into the certificates they make while they look inside TLS; from the vendors' documents. A name is
   looked for anywhere in the issuer, without case. */
static const struct {
	const char *word, *product;
} inspectors[] = {
	{"Fortinet", "Fortinet FortiGate"},
	{"FortiGate", "Fortinet FortiGate"},
	{"Zscaler", "Zscaler"},
	{"Palo Alto", "Palo Alto Networks"},
	{"Sophos", "Sophos"},
	{"Check Point", "Check Point"},
	{"Blue Coat", "Blue Coat"},
	{"Cisco Umbrella", "Cisco Umbrella"},
	{"Netskope", "Netskope"},
	{"Forcepoint", "Forcepoint"},
	{"Websense", "Forcepoint"},
	{"goskope", "Netskope"},
	{"Barracuda", "Barracuda"},
	{"WatchGuard", "WatchGuard"},
	{"SonicWall", "SonicWall"},
	{"Untangle", "Untangle"},
	{"Smoothwall", "Smoothwall"},
	{"Securly", "Securly"},
	{"Lightspeed", "Lightspeed"},
	{"ContentKeeper", "ContentKeeper"},
	{"McAfee Web Gateway", "McAfee Web Gateway"},
	{"Skyhigh", "Skyhigh"},
	{"Trend Micro", "Trend Micro"},
	{"Kaspersky", "Kaspersky"},
	{"ESET SSL", "ESET"},
	{"Avast", "Avast"},
	{"AVG ", "AVG"},
	{"Bitdefender", "Bitdefender"},
	{"Norton", "Norton"},
	{"Dr.Web", "Dr.Web"},
	{"AdGuard", "AdGuard"},
	{"Sangfor", "Sangfor"},
	{"Hillstone", "Hillstone"},
	{"Cato Networks", "Cato Networks"},
	{"Menlo", "Menlo Security"},
	{"iboss", "iboss"},
	{"Gateway CA - Cloudflare", "Cloudflare Gateway"},
	{"mitmproxy", "mitmproxy"},
	{"PortSwigger", "Burp"},
	{"DO_NOT_TRUST", "Fiddler"},
	{"Charles Proxy", "Charles"},
	{"Squid", "Squid"},
	{"pfSense", "pfSense"},
	{"OPNsense", "OPNsense"},
	/* what people name the CA of such a product */
	{"inspection", "a TLS inspection product"},
	{"firewall", "a firewall"},
	{"proxy", "a proxy"},
	{"egress", "a proxy"},
};

const char *tls_inspector(const char *issuer)
{
	for (size_t i = 0; i < sizeof inspectors / sizeof *inspectors; i++)
		if (repair_find(issuer, issuer + strlen(issuer), inspectors[i].word))
			return inspectors[i].product;
	return NULL;
}

static void name_text(const X509_NAME *name, char *out, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());

	out[0] = 0;
	if (!bio)
		return;
	if (name && X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
		int n = BIO_read(bio, out, (int)size - 1);
		out[n > 0 ? n : 0] = 0;
	}
	BIO_free(bio);
	for (char *p = out; *p; p++)
		if ((unsigned char)*p < 32)
			*p = '?';
}

static int64_t time_of(const ASN1_TIME *t)
{
	struct tm tm;

	if (!t || !ASN1_TIME_to_tm(t, &tm))
		return 0;
	return clock_join(
		&(struct clock_fields){tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec});
}

static void add_name(char *out, size_t size, const unsigned char *name, int n)
{
	size_t used = strlen(out);

	if (n > 0 && used + 2 < size)
		snprintf(out + used, size - used, "%s%.*s", used ? ", " : "", n, (const char *)name);
}

static void list_names(X509 *cert, char *out, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	out[0] = 0;
	for (int i = 0; names && i < sk_GENERAL_NAME_num(names) && i < 8; i++) {
		int type;
		const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
		if (type == GEN_DNS)
			add_name(out, size, ASN1_STRING_get0_data(value), ASN1_STRING_length(value));
	}
	GENERAL_NAMES_free(names);
	for (char *p = out; *p; p++)
		if ((unsigned char)*p < 32)
			*p = '?';
}

static void learn_certificate(X509 *cert, struct check *check)
{
	struct tls_facts *facts = check->facts;

	if (!cert || facts->subject[0] || facts->issuer[0])
		return;
	name_text(X509_get_subject_name(cert), facts->subject, sizeof facts->subject);
	name_text(X509_get_issuer_name(cert), facts->issuer, sizeof facts->issuer);
	facts->expires_at = time_of(X509_get0_notAfter(cert));
	list_names(cert, check->names, sizeof check->names);
}

static int on_verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct check *check = SSL_get_app_data(ssl);

	if (!check)
		return 0;
	learn_certificate(X509_STORE_CTX_get0_cert(store), check);
	if (!ok && check->first_error == X509_V_OK)
		check->first_error = X509_STORE_CTX_get_error(store);
	return ok || check->accept_any;
}

/* --- what went wrong --- */

static void hint_unknown_issuer(const struct check *check, struct err *err)
{
	const char *inspector = tls_inspector(check->facts->issuer);

	if (inspector)
		err_hint(err,
			"the issuer looks like %s, which opens encrypted connections on the way: have this "
			"host exempted from "
			"inspection, or give that product's CA with --ca-file if your organisation means it "
			"so",
			inspector);
	else
		err_hint(err, "its issuer is not trusted on this machine: give the issuer's CA in PEM with "
			      "--ca-file; if you expected a public "
			      "CA, somebody may be listening in");
}

static int explain_certificate(const struct tls_conf *conf, const struct check *check, struct err *err)
{
	char until[CLOCK_TEXT];
	int code = check->first_error;

	err_set(err, ERR_CERTIFICATE, "the certificate of %s is rejected: %s (issuer: %s)", conf->host,
		X509_verify_cert_error_string(code), check->facts->issuer[0] ? check->facts->issuer : "unknown");
	clock_format(check->facts->expires_at, until, sizeof until);
	switch (code) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		err_hint(
			err, "it was valid until %s: the host must renew it (or this machine's clock is wrong)", until);
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		err_hint(err, "it is not valid yet: this machine's clock is probably wrong");
		break;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		if (tls_inspector(check->facts->issuer)) {
			hint_unknown_issuer(check, err);
			break;
		}
		err_hint(err, "it was made for %s: give one of these names as --host",
			check->names[0] ? check->names : check->facts->subject);
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		if (tls_inspector(check->facts->issuer)) {
			hint_unknown_issuer(check, err);
			break;
		}
		err_hint(err, "the host signed it itself: save it as PEM, compare its fingerprint with the "
			      "host's administrator, and give it "
			      "with --ca-file");
		break;
	case X509_V_ERR_CERT_REVOKED:
		err_hint(err, "it was revoked: do not sign in there before the host has explained it");
		break;
	default:
		hint_unknown_issuer(check, err);
		break;
	}
	return -1;
}

static int explain_handshake(const struct tls_conf *conf, struct err *err)
{
	char reason[160];
	unsigned long e = ERR_peek_last_error();
	int code = ERR_GET_REASON(e);

	err_set(err, ERR_TLS, "the TLS handshake with %s failed: %s", conf->host, last_reason(reason, sizeof reason));
	if (code == SSL_R_UNSUPPORTED_PROTOCOL || code == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION ||
		code == SSL_R_WRONG_SSL_VERSION)
		err_hint(err, "the host speaks only TLS older than 1.2, which is not safe: it must be updated");
	else if (!e || code == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		err_hint(err, "the connection broke during the handshake: a firewall that looks into "
			      "connections, or too many connections "
			      "from this address");
	else
		err_hint(err, "port %u may not be a TLS port: try --port 993, or --tls starttls with --port 143",
			conf->port);
	return -1;
}

/* A server that speaks clear text says "* OK ..." at once; its words tell more than OpenSSL's "wrong version number". */
static int refuse_clear_text(int fd, const struct tls_conf *conf, struct err *err)
{
	char words[200];
	ssize_t n = recv(fd, words, sizeof words, MSG_PEEK | MSG_DONTWAIT);

	if (n <= 0 || words[0] == 0x16 || words[0] == 0x15)
		return 0;
	for (ssize_t i = 0; i < n && i < 4; i++)
		if ((unsigned char)words[i] < 32 || (unsigned char)words[i] > 126)
			return 0;
	err_set(err, ERR_TLS, "%s speaks clear text on port %u", conf->host, conf->port);
	err_server(err, words, (size_t)n);
	if (!conf->starttls)
		err_hint(err, "use --tls starttls on this port, or another port (993 is the usual one for TLS)");
	return -1;
}

/* --- setting up --- */

static SSL_CTX *new_context(const struct tls_conf *conf, struct err *err)
{
	char reason[160];
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (!ctx) {
		err_set(err, ERR_MEMORY, "no TLS context: %s", last_reason(reason, sizeof reason));
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(
		ctx, SSL_MODE_AUTO_RETRY | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
	int loaded = conf->ca_file ? SSL_CTX_load_verify_locations(ctx, conf->ca_file, NULL)
				   : SSL_CTX_set_default_verify_paths(ctx);
	if (loaded)
		return ctx;
	err_set(err, ERR_CERTIFICATE, "the CA file %s cannot be read: %s",
		conf->ca_file ? conf->ca_file : "of the system", last_reason(reason, sizeof reason));
	err_hint(err, "it must hold certificates in PEM form");
	SSL_CTX_free(ctx);
	return NULL;
}

static bool is_address(const char *host)
{
	struct in6_addr ip;

	return inet_pton(AF_INET, host, &ip) == 1 || inet_pton(AF_INET6, host, &ip) == 1;
}

static int expect_host(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	char name[256]; /* OpenSSL's macro wants it writable; it makes a copy */

	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (is_address(host))
		return X509_VERIFY_PARAM_set1_ip_asc(param, host) ? 0 : -1;
	if ((size_t)snprintf(name, sizeof name, "%s", host) >= sizeof name)
		return -1;
	return SSL_set1_host(ssl, name) && SSL_set_tlsext_host_name(ssl, name) ? 0 : -1;
}

static int handshake(struct tls *t, int fd, const struct tls_conf *conf, struct check *check, struct stop *stop,
	int64_t deadline, struct err *err)
{
	for (;;) {
		/* Only before its first octet: later the socket may stand in the middle of a record. */
		uint64_t received, sent;
		tls_sock_counts(t->sock, &received, &sent);
		if (received == 0 && refuse_clear_text(fd, conf, err))
			return -1;
		ERR_clear_error();
		errno = 0;
		int r = SSL_connect(t->ssl);
		if (r == 1)
			return 0;
		int why = SSL_get_error(t->ssl, r);
		if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
			return check->first_error != X509_V_OK && !check->accept_any
				       ? explain_certificate(conf, check, err)
				       : explain_handshake(conf, err);
		if (!dial_wait(fd, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, NULL, stop, deadline, err))
			continue;
		if (err->kind == ERR_STOPPED)
			return -1;
		err_set(err, ERR_TLS, "the TLS handshake with %s was not finished in time", conf->host);
		err_hint(err,
			"the host does not answer TLS on port %u: try --tls starttls with --port 143; or a "
			"firewall holds the "
			"connection",
			conf->port);
		return -1;
	}
}

int tls_open(struct tls **out, int fd, const struct tls_conf *conf, struct stop *stop, int64_t deadline,
	struct tls_facts *facts, struct err *err)
{
	struct tls *t = calloc(1, sizeof *t);
	struct check check = {.facts = facts, .accept_any = conf->accept_any_certificate, .first_error = X509_V_OK};

	*out = NULL;
	memset(facts, 0, sizeof *facts);
	if (!t)
		return err_set(err, ERR_MEMORY, "out of memory");
	t->ctx = new_context(conf, err);
	if (!t->ctx)
		goto failed;
	t->sock = tls_sock_new(fd);
	t->ssl = SSL_new(t->ctx);
	BIO *bio = t->sock ? tls_sock_bio(t->sock) : NULL;
	if (t->ssl && bio)
		SSL_set_bio(t->ssl, bio, bio);
	else
		BIO_free(bio);
	if (!t->ssl || !bio || expect_host(t->ssl, conf->host)) {
		err_set(err, ERR_TLS, "TLS cannot be set up for the host %s", conf->host);
		goto failed;
	}
	SSL_set_app_data(t->ssl, &check);
	int failed = handshake(t, fd, conf, &check, stop, deadline, err);
	SSL_set_app_data(t->ssl, NULL);
	if (failed)
		goto failed;
	facts->verified = check.first_error == X509_V_OK && SSL_get_verify_result(t->ssl) == X509_V_OK;
	if (!facts->verified && !conf->accept_any_certificate) {
		check.first_error = (int)SSL_get_verify_result(t->ssl);
		explain_certificate(conf, &check, err);
		goto failed;
	}
	snprintf(facts->version, sizeof facts->version, "%s", SSL_get_version(t->ssl));
	snprintf(facts->cipher, sizeof facts->cipher, "%s", SSL_get_cipher_name(t->ssl));
	*out = t;
	return 0;
failed:
	tls_free(&t);
	return -1;
}

void tls_free(struct tls **t)
{
	if (!*t)
		return;
	SSL_free((*t)->ssl);
	SSL_CTX_free((*t)->ctx);
	tls_sock_free(&(*t)->sock);
	free(*t);
	*t = NULL;
}

/* --- octets --- */

static long settle(struct tls *t, int r, short *want, const char *doing, struct err *err)
{
	char reason[160];

	if (r > 0)
		return r;
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		*want = POLLIN;
		return 0;
	case SSL_ERROR_WANT_WRITE:
		*want = POLLOUT;
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		return err_set(err, ERR_LOST, "the server closed the connection");
	default:
		return err_set(
			err, ERR_LOST, "the connection broke while %s: %s", doing, last_reason(reason, sizeof reason));
	}
}

/* Hardly ever are there any, and to clear none takes OpenSSL as long as to open a short record. */
static void forget_errors(void)
{
	if (ERR_peek_error())
		ERR_clear_error();
	errno = 0;
}

long tls_read(struct tls *t, void *data, size_t n, short *want, struct err *err)
{
	forget_errors();
	return settle(t, SSL_read(t->ssl, data, n > 1 << 30 ? 1 << 30 : (int)n), want, "reading", err);
}

long tls_write(struct tls *t, const void *data, size_t n, short *want, struct err *err)
{
	forget_errors();
	return settle(t, SSL_write(t->ssl, data, n > 1 << 30 ? 1 << 30 : (int)n), want, "writing", err);
}

bool tls_has_pending(const struct tls *t)
{
	return tls_sock_has_pending(t->sock) || SSL_has_pending(t->ssl) == 1;
}

void tls_goodbye(struct tls *t)
{
	ERR_clear_error();
	SSL_shutdown(t->ssl);
	ERR_clear_error();
}

void tls_counts(const struct tls *t, uint64_t *received, uint64_t *sent)
{
	tls_sock_counts(t->sock, received, sent);
}
