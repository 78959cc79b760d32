#include "engine/provider.h"

#include <string.h>
#include <strings.h>

#define MB ((uint64_t)1024 * 1024)

static const struct provider table[] = {
	{.name = "gmail",
		.title = "Gmail",
		.host = "imap.gmail.com",
		.port = 993,
		.max_connections = 15,
		.bytes_per_day = 2500 * MB,
		.note = "labels may be hidden from IMAP: Settings, Labels, Show in IMAP; personal accounts need an app "
			"password",
		.source = "Google Workspace help, bandwidth and sync limits: 2,500 MB of IMAP download a day, 15 "
			  "connections (D)"},
	{.name = "yahoo",
		.title = "Yahoo",
		.host = "imap.mail.yahoo.com",
		.port = 993,
		.max_connections = 5,
		.folder_cap = 10000,
		.folder_cap_hint = "use --provider yahoo-export (export.imap.mail.yahoo.com), which shows more",
		.note = "needs an app password",
		.source = "Yahoo help: 10,000 messages a folder on the ordinary host (D)"},
	{.name = "yahoo-export",
		.title = "Yahoo (export host)",
		.host = "export.imap.mail.yahoo.com",
		.port = 993,
		.max_connections = 5,
		.folder_cap = 100000,
		.folder_cap_hint = "nothing shows more than the export host",
		.note = "needs an app password",
		.source = "Yahoo help (T)"},
	{.name = "zoho",
		.title = "Zoho",
		.host = "imap.zoho.com",
		.port = 993,
		.max_connections = 10,
		.note = "IMAP is off for each mailbox until it is switched on; other regions: imap.zoho.eu, "
			"imap.zoho.in; "
			"hosted domains: imappro.zoho.com",
		.source = "Zoho help (T)"},
	{.name = "cpanel",
		.title = "cPanel (Dovecot)",
		.port = 993,
		.max_connections = 20,
		.note = "bans an address after few failed sign-ins (cPHulk): have this machine's address allowed first",
		.source = "cPanel documentation, cPHulk Brute Force Protection (D)"},
	{.name = "courier",
		.title = "Courier",
		.port = 993,
		.max_connections = 4,
		.note = "allows 4 connections from one address (MAXPERIP): raise it for this machine, or move few "
			"mailboxes at once",
		.source = "courier-imap imapd configuration file, MAXPERIP=4 (D)"},
	{.name = "exchange",
		.title = "Exchange (on-premises)",
		.port = 993,
		.max_connections = 16,
		.note = "the IMAP service is off by default: Set-Service MSExchangeImap4 -StartupType Automatic",
		.source = "Microsoft Learn, Enable and configure IMAP4: MaxConnectionsPerUser 16 (D)"},
};

const struct provider *provider_table(size_t *n)
{
	*n = sizeof table / sizeof table[0];
	return table;
}

const struct provider *provider_find(const char *name)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (strcasecmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

const struct provider *provider_by_host(const char *host)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (table[i].host && strcasecmp(table[i].host, host) == 0)
			return &table[i];
	return NULL;
}
