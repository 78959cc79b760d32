#include "imap/quirk.h"

#include "imap/repair.h"

enum where { IN_GREETING = 1, IN_ID = 2, IN_CAPABILITIES = 4 };

/* word: anywhere in the text, without case. */
static const struct {
	unsigned where;
	const char *word;
	unsigned quirks;
} servers[] = {
	/* "* OK The Microsoft Exchange IMAP4 service is ready. [base64]" (S: spec/exchange-online.md section 2) */
	{IN_GREETING, "Microsoft Exchange", QUIRK_EXCHANGE},
	/* ID of Exchange Online: "name" "Microsoft.Exchange.Imap4.Imap4Server" (S) */
	{IN_ID, "Microsoft.Exchange", QUIRK_EXCHANGE},
	/* Courier 5.0: no UIDNEXT in SELECT, INBOX. prefix, ALERTs in mid session (seen, servers/README.md) */
	{IN_GREETING, "Courier-IMAP", QUIRK_COURIER},
	{IN_CAPABILITIES, "X-GM-EXT-1", QUIRK_GMAIL},
	/* 163.com and 126.com: "Coremail" greets, wants tags of its own kind from others; one command at a time is what mailcore2 does */
	{IN_GREETING, "Coremail", QUIRK_NO_PIPELINE | QUIRK_SMALL_SETS},
	{IN_GREETING, "163.com", QUIRK_NO_PIPELINE | QUIRK_SMALL_SETS},
	/* mailcore2 keeps sets short for these; their command line is limited */
	{IN_GREETING, "Rambler", QUIRK_SMALL_SETS},
	{IN_GREETING, "QIP", QUIRK_SMALL_SETS},
	{IN_GREETING, "Hermes", QUIRK_SMALL_SETS},
	/* Domino reads a command's line into a fixed buffer (T) */
	{IN_GREETING, "Domino IMAP4", QUIRK_SMALL_SETS},
};

unsigned quirk_find(const char *greeting, const char *server_id, const char *capabilities)
{
	unsigned found = 0;

	for (size_t i = 0; i < sizeof servers / sizeof *servers; i++) {
		const char *text = servers[i].where == IN_GREETING ? greeting
				   : servers[i].where == IN_ID     ? server_id
								   : capabilities;
		if (repair_find(text, text + strlen(text), servers[i].word))
			found |= servers[i].quirks;
	}
	return found;
}
