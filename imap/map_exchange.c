/* Exchange shows no special-use by IMAP, so the mailbox's language decides: the one of which most names are there. A mailbox of which folders
   of another language were made ("Sent", "Sent Items" beside "Gesendete Elemente") still has calendar, contacts and tasks in its own, and
   those nobody makes by IMAP. The names are what Outlook on the web gives a new mailbox. */
#include "imap/map_exchange.h"

#include "imap/map.h"
#include "imap/map_names.h"

#include <string.h>

enum { KINDS = 8, FIRST_OTHER = 5, SPELLINGS = 3 };

/* Sent, drafts, deleted, junk, archive; then what holds no mail: calendar, contacts, tasks. */
/* clang-format off */
static const char *const languages[][KINDS][SPELLINGS] = {
	{{"Sent Items"}, {"Drafts"}, {"Deleted Items"}, {"Junk Email"}, {"Archive"}, {"Calendar"}, {"Contacts"}, {"Tasks"}},
	{{"Gesendete Elemente"}, {"Entwürfe"}, {"Gelöschte Elemente"}, {"Junk-E-Mail"}, {"Archiv"}, {"Kalender"}, {"Kontakte"}, {"Aufgaben"}},
	{{"Éléments envoyés"}, {"Brouillons"}, {"Éléments supprimés"}, {"Courrier indésirable"}, {"Archive", "Archives"}, {"Calendrier"},
		{"Contacts"}, {"Tâches"}},
	{{"Elementos enviados"}, {"Borradores"}, {"Elementos eliminados"}, {"Correo no deseado", "Correo electrónico no deseado"},
		{"Archivo"}, {"Calendario"}, {"Contactos"}, {"Tareas"}},
	{{"Posta inviata"}, {"Bozze"}, {"Posta eliminata"}, {"Posta indesiderata"}, {"Archivio"}, {"Calendario"}, {"Contatti"}, {"Attività"}},
	{{"Itens enviados"}, {"Rascunhos"}, {"Itens excluídos"}, {"Lixo eletrônico"}, {"Arquivo Morto", "Arquivo"}, {"Calendário"},
		{"Contatos"}, {"Tarefas"}},
	{{"Itens enviados"}, {"Rascunhos"}, {"Itens eliminados"}, {"Lixo eletrónico", "E-mail de lixo", "Correio eletrónico não solicitado"},
		{"Arquivo"}, {"Calendário"}, {"Contactos"}, {"Tarefas"}},
	{{"Verzonden items"}, {"Concepten"}, {"Verwijderde items"}, {"Ongewenste e-mail"}, {"Archief"}, {"Agenda"}, {"Contactpersonen"},
		{"Taken"}},
	{{"Elementy wysłane"}, {"Wersje robocze", "Kopie robocze"}, {"Elementy usunięte"}, {"Wiadomości-śmieci"}, {"Archiwum"},
		{"Kalendarz"}, {"Kontakty"}, {"Zadania"}},
	{{"Отправленные", "Отправленные элементы"}, {"Черновики"}, {"Удаленные", "Удаленные элементы"}, {"Нежелательная почта"},
		{"Архив"}, {"Календарь"}, {"Контакты"}, {"Задачи"}},
	{{"Gönderilmiş Öğeler"}, {"Taslaklar"}, {"Silinmiş Öğeler"}, {"Önemsiz E-posta"}, {"Arşiv"}, {"Takvim"}, {"Kişiler"}, {"Görevler"}},
	{{"العناصر المرسلة"}, {"المسودات"}, {"العناصر المحذوفة"}, {"البريد الإلكتروني غير الهام"}, {"الأرشيف", "أرشيف"}, {"التقويم"},
		{"جهات الاتصال"}, {"المهام"}},
	{{"بھیجے گئے آئٹمز"}, {"مسودے", "ڈرافٹس"}, {"حذف شدہ آئٹمز"}, {"فضول ای میل", "جنک ای میل"}, {"محفوظات", "آرکائیو"}, {"کیلنڈر"},
		{"رابطے", "روابط"}, {"ٹاسکس"}},
	{{"已发送邮件", "已发送的邮件"}, {"草稿"}, {"已删除邮件", "已删除的邮件"}, {"垃圾邮件", "垃圾电子邮件"}, {"存档"}, {"日历"},
		{"联系人"}, {"任务"}},
	{{"寄件備份"}, {"草稿"}, {"刪除的郵件"}, {"垃圾郵件"}, {"封存"}, {"行事曆"}, {"連絡人"}, {"工作"}},
	{{"送信済みアイテム"}, {"下書き"}, {"削除済みアイテム"}, {"迷惑メール"}, {"アーカイブ"}, {"予定表"}, {"連絡先"}, {"タスク"}},
};
/* clang-format on */

enum { LANGUAGES = sizeof(languages) / sizeof(languages[0]) };

static const enum folder_role roles[FIRST_OTHER] = {ROLE_SENT, ROLE_DRAFTS, ROLE_TRASH, ROLE_JUNK, ROLE_ARCHIVE};

static bool is_at_top(const struct folder *f)
{
	return f->n_parts == 1 && !f->is_shared && !strchr(f->parts[0], '/');
}

static long find_name(const struct folder_list *list, const char *const spellings[SPELLINGS])
{
	char key[MAP_NAMES_KEY];
	for (size_t s = 0; s < SPELLINGS && spellings[s] && map_names_key(spellings[s], key); s++) {
		for (size_t i = 0; i < list->n; i++) {
			if (is_at_top(&list->v[i]) && map_names_has_key(list->v[i].parts[0], key))
				return (long)i;
		}
	}
	return -1;
}

/* -1: none of them is there. */
static long find_by_attribute(const struct folder_list *list, enum folder_role role)
{
	for (size_t i = 0; i < list->n; i++) {
		if (is_at_top(&list->v[i]) && list->v[i].role_by_attribute && list->v[i].role == role)
			return (long)i;
	}
	return -1;
}

/* Of a name that the table does not know: the only folder that means it, if there is but one. */
static long find_only(const struct folder_list *list, enum folder_role role)
{
	long found = -1;
	for (size_t i = 0; i < list->n; i++) {
		if (!is_at_top(&list->v[i]) || list->v[i].role != role)
			continue;
		if (found >= 0)
			return -1;
		found = (long)i;
	}
	return found;
}

/* The language of most names; -1: of none. */
static int find_language(const struct folder_list *list)
{
	unsigned most = 0;
	int best = -1;
	for (int l = 0; l < LANGUAGES; l++) {
		unsigned points = 0;
		for (size_t k = 0; k < KINDS; k++) /* what nobody makes by IMAP weighs more */
			points += find_name(list, languages[l][k]) < 0 ? 0 : k < FIRST_OTHER ? 1 : 2;
		if (points > most) {
			most = points;
			best = l;
		}
	}
	return best;
}

void map_exchange_find(const struct folder_list *list, long out[ROLE_ARCHIVE + 1])
{
	int l = find_language(list);
	for (int r = 0; r <= ROLE_ARCHIVE; r++)
		out[r] = -1;
	for (size_t k = 0; k < FIRST_OTHER; k++) {
		long *place = &out[roles[k]];
		*place = find_by_attribute(list, roles[k]);
		if (*place < 0 && l >= 0)
			*place = find_name(list, languages[l][k]);
		/* every mailbox has these; not so the archive: another folder of such a name is a person's own */
		if (*place < 0 && l >= 0 && roles[k] != ROLE_ARCHIVE)
			*place = find_only(list, roles[k]);
	}
}
