/* The names, as the programs show them: Outlook and Exchange, Thunderbird, Apple Mail, Roundcube, Gmail,
   Yahoo, Zoho and the large hosts of each country. A name that also means something ordinary ("Bin",
   "Outgoing", 工作) is left out: a folder of a person's own that lands in Deleted Items may be emptied one
   day, while a Sent folder that keeps its name loses nothing. */
#include "imap/map_names.h"

#include "imap/fold.h"
#include "imap/map.h"

#include "engine/base/utf8.h"

#include <string.h>

/* By language, several a line. */
/* clang-format off */
static const char *const sent[] = {
	/* English */ "Sent", "Sent Items", "Sent Mail", "Sent Messages", "SentMail", "Sent E-mail",
	"Sent Emails", "Sent Box", "SentBox",
	/* German */ "Gesendet", "Gesendete Elemente", "Gesendete Objekte", "Gesendete Nachrichten",
	"Gesendete Mails", "Gesendete E-Mails", "Versendet", "Versendete Nachrichten",
	/* French */ "Envoyés", "Envoyé", "Éléments envoyés", "Messages envoyés", "Courrier envoyé",
	"Objets envoyés", "Mails envoyés", "E-mails envoyés",
	/* Spanish */ "Enviados", "Enviado", "Elementos enviados", "Mensajes enviados", "Correo enviado",
	"Correos enviados",
	/* Italian */ "Inviati", "Inviata", "Posta inviata", "Elementi inviati", "Messaggi inviati",
	/* Portuguese */ "Enviadas", "Itens enviados", "Mensagens enviadas", "E-mails enviados",
	"Correio enviado",
	/* Dutch */ "Verzonden", "Verzonden items", "Verzonden berichten", "Verzonden e-mail",
	"Verzonden mail", "Verstuurd",
	/* Polish */ "Wysłane", "Elementy wysłane", "Wiadomości wysłane", "Wysłane wiadomości",
	"Poczta wysłana",
	/* Russian */ "Отправленные", "Отправлено", "Отправленные элементы", "Отправленные письма",
	"Отправленные сообщения",
	/* Turkish */ "Gönderilmiş Öğeler", "Gönderilen Öğeler", "Gönderilenler", "Gönderilen",
	"Gönderilmiş", "Gönderilmiş Postalar", "Gönderilmiş İletiler", "Gönderilen İletiler",
	"Gönderilmiş E-postalar",
	/* Arabic */ "العناصر المرسلة", "البريد المرسل", "بريد مرسل", "المرسلة", "المرسل",
	"الرسائل المرسلة",
	/* Urdu */ "بھیجے گئے آئٹمز", "بھیجے گئے", "بھیجا گیا", "بھیجی گئی", "بھیجی گئی میل", "بھیجے ہوئے",
	"ارسال کردہ", "ارسال کردہ آئٹمز", "ارسال شدہ",
	/* Chinese, simplified */ "已发送", "已发送邮件", "已发送的邮件", "已发邮件", "已发送项目",
	"已发送消息",
	/* Chinese, traditional */ "寄件備份", "寄件備份匣", "已寄出", "已寄郵件", "已傳送", "已傳送的郵件",
	"已傳送郵件", "已傳送項目", "已傳送訊息",
	/* Japanese */ "送信済み", "送信済", "送信済みアイテム", "送信済みメール", "送信済みトレイ",
	"送信済みメッセージ",
};

static const char *const drafts[] = {
	/* English */ "Drafts", "Draft", "Draft Messages",
	/* German */ "Entwürfe", "Entwurf", "Entwuerfe",
	/* French */ "Brouillons", "Brouillon",
	/* Spanish */ "Borradores", "Borrador",
	/* Italian */ "Bozze", "Bozza",
	/* Portuguese */ "Rascunhos", "Rascunho",
	/* Dutch */ "Concepten", "Concept",
	/* Polish */ "Wersje robocze", "Kopie robocze", "Robocze", "Szkice",
	/* Russian */ "Черновики", "Черновик",
	/* Turkish */ "Taslaklar", "Taslak",
	/* Arabic */ "المسودات", "مسودات", "مسودة",
	/* Urdu */ "مسودے", "ڈرافٹس", "ڈرافٹ", "ڈرافٹ پیغامات",
	/* Chinese */ "草稿", "草稿箱", "草稿夹", "草稿匣",
	/* Japanese */ "下書き", "下書きトレイ",
};

static const char *const trash[] = {
	/* English */ "Trash", "Deleted Items", "Deleted Messages", "Deleted", "Deleted Mail", "Trash Can",
	"Wastebasket", "Trash Bin",
	/* German */ "Papierkorb", "Gelöschte Elemente", "Gelöschte Objekte", "Gelöschte Nachrichten",
	"Gelöschte Mails", "Gelöscht", "Gelöschte E-Mails",
	/* French */ "Corbeille", "Éléments supprimés", "Messages supprimés", "Objets supprimés",
	"Supprimés",
	/* Spanish */ "Papelera", "Elementos eliminados", "Mensajes eliminados", "Eliminados",
	"Papelera de reciclaje",
	/* Italian */ "Cestino", "Posta eliminata", "Elementi eliminati", "Messaggi eliminati", "Eliminati",
	/* Portuguese */ "Lixeira", "Lixo", "Itens excluídos", "Itens eliminados", "Itens apagados",
	"Mensagens excluídas", "Mensagens eliminadas", "Excluídos", "Reciclagem",
	/* Dutch */ "Prullenbak", "Prullenmand", "Verwijderde items", "Verwijderde berichten", "Verwijderd",
	/* Polish */ "Kosz", "Elementy usunięte", "Wiadomości usunięte", "Usunięte",
	/* Russian */ "Корзина", "Удаленные", "Удалённые", "Удаленные элементы", "Удалённые элементы",
	"Удаленные сообщения", "Удалённые сообщения", "Удаленные письма", "Удалённые письма",
	/* Turkish */ "Silinmiş Öğeler", "Silinen Öğeler", "Silinenler", "Silinmiş", "Silinmiş Postalar",
	"Silinmiş İletiler", "Çöp Kutusu", "Çöp",
	/* Arabic */ "العناصر المحذوفة", "الرسائل المحذوفة", "المحذوفة", "المحذوفات", "سلة المهملات",
	"المهملات", "سلة المحذوفات",
	/* Urdu */ "حذف شدہ آئٹمز", "حذف شدہ", "حذف کردہ", "حذف شدہ پیغامات", "ردی کی ٹوکری", "کوڑے دان",
	"کوڑا دان", "ٹریش",
	/* Chinese, simplified */ "已删除", "已删除邮件", "已删除的邮件", "已删除项目", "已删除消息",
	"废纸篓", "废件箱", "回收站",
	/* Chinese, traditional */ "刪除的郵件", "已刪除", "已刪除的郵件", "已刪除郵件", "已刪除的項目",
	"垃圾桶", "回收筒", "資源回收筒",
	/* Japanese */ "ごみ箱", "ゴミ箱", "削除済みアイテム", "削除済み", "削除済みメール",
	"削除済みメッセージ",
};

static const char *const junk[] = {
	/* English */ "Junk", "Spam", "Junk Email", "Junk E-mail", "Junk Mail", "JunkMail", "Bulk Mail",
	"Bulk", "Spam Mail", "SpamBox",
	/* German */ "Spamverdacht", "Junk-E-Mail-Ordner", "Unerwünscht", "Unerwünschte E-Mails",
	"Unerwünschte Werbung",
	/* French */ "Courrier indésirable", "Indésirables", "Indésirable", "Messages indésirables",
	"Pourriel", "Pourriels",
	/* Spanish */ "Correo no deseado", "Correo electrónico no deseado", "No deseado", "No deseados",
	"Correo basura",
	/* Italian */ "Posta indesiderata", "Indesiderata",
	/* Portuguese */ "Lixo eletrônico", "Lixo eletrónico", "Lixo electrónico", "E-mail de lixo",
	"Correio não solicitado", "Correio eletrónico não solicitado",
	/* Dutch */ "Ongewenste e-mail", "Ongewenste mail", "Ongewenst", "Ongewenste reclame",
	"Ongewenste berichten",
	/* Polish */ "Wiadomości-śmieci", "Śmieci", "Niechciane", "Niechciana poczta",
	"Wiadomości niechciane",
	/* Russian */ "Спам", "Нежелательная почта", "Нежелательные", "Нежелательные сообщения",
	/* Turkish */ "Önemsiz E-posta", "Önemsiz", "İstenmeyen", "İstenmeyen E-posta", "İstenmeyen Posta",
	"Gereksiz", "Gereksiz E-posta", "Gereksiz Posta",
	/* Arabic */ "البريد الإلكتروني غير الهام", "بريد إلكتروني غير هام", "البريد غير الهام",
	"البريد العشوائي", "بريد عشوائي", "البريد المزعج", "بريد مزعج", "الرسائل غير المرغوب فيها",
	"بريد غير مرغوب فيه", "غير هام",
	/* Urdu */ "فضول ای میل", "فضول میل", "فضول", "جنک ای میل", "جنک", "سپام", "اسپام", "سپیم", "اسپیم",
	/* Chinese, simplified */ "垃圾邮件", "垃圾电子邮件", "垃圾电邮", "垃圾信件", "垃圾邮件箱",
	/* Chinese, traditional */ "垃圾郵件", "垃圾郵件匣", "垃圾電郵", "垃圾信件", "垃圾信件匣", "垃圾信",
	/* Japanese */ "迷惑メール", "迷惑メールフォルダ", "迷惑メールフォルダー", "スパム",
};

static const char *const archive[] = {
	/* English */ "Archive", "Archives", "Archived",
	/* German */ "Archiv",
	/* French */ "Archivés", "Courrier archivé",
	/* Spanish */ "Archivo", "Archivados", "Archivo local",
	/* Italian */ "Archivio", "Archiviati", "Archivi",
	/* Portuguese */ "Arquivo", "Arquivos", "Arquivo Morto", "Arquivados",
	/* Dutch */ "Archief",
	/* Polish */ "Archiwum",
	/* Russian */ "Архив", "Архивы",
	/* Turkish */ "Arşiv", "Arşivler",
	/* Arabic */ "الأرشيف", "أرشيف", "الارشيف", "ارشيف",
	/* Urdu */ "محفوظات", "آرکائیو", "آرکائیوز", "محفوظ شدہ دستاویزات",
	/* Chinese, simplified */ "存档", "归档", "已归档", "存档邮件", "邮件存档",
	/* Chinese, traditional */ "封存", "封存郵件", "歸檔", "備存", "保存", "典藏",
	/* Japanese */ "アーカイブ",
};

static const struct {
	enum folder_role role;
	const char *const *names;
	size_t n;
} roles[] = {
	{ROLE_SENT, sent, sizeof(sent) / sizeof(sent[0])},
	{ROLE_DRAFTS, drafts, sizeof(drafts) / sizeof(drafts[0])},
	{ROLE_TRASH, trash, sizeof(trash) / sizeof(trash[0])},
	{ROLE_JUNK, junk, sizeof(junk) / sizeof(junk[0])},
	{ROLE_ARCHIVE, archive, sizeof(archive) / sizeof(archive[0])},
};

/* Calendar, contacts, tasks, notes, journal. Words that are as good for a folder of mail (کام and 工作 are
   also "work") are left out: to move a calendar's items as mail does no harm, to leave mail behind does. */
static const char *const not_mail[] = {
	/* English */ "Calendar", "Calendars", "Contacts", "Tasks", "Notes", "Journal", "Address Book",
	"Addressbook", "Suggested Contacts", "Emailed Contacts",
	/* German */ "Kalender", "Kontakte", "Vorgeschlagene Kontakte", "Aufgaben", "Notizen", "Adressbuch",
	/* French */ "Calendrier", "Agenda", "Tâches", "Carnet d'adresses", "Carnet d’adresses",
	"Contacts suggérés",
	/* Spanish */ "Calendario", "Contactos", "Tareas", "Notas", "Diario", "Libreta de direcciones",
	/* Italian */ "Contatti", "Attività", "Note", "Rubrica",
	/* Portuguese */ "Calendário", "Contatos", "Contactos", "Tarefas", "Anotações", "Diário",
	"Catálogo de endereços",
	/* Dutch */ "Contactpersonen", "Contacten", "Taken", "Notities", "Logboek", "Adresboek",
	/* Polish */ "Kalendarz", "Kontakty", "Zadania", "Notatki", "Dziennik", "Książka adresowa",
	/* Russian */ "Календарь", "Контакты", "Задачи", "Заметки", "Дневник", "Адресная книга",
	/* Turkish */ "Takvim", "Kişiler", "Görevler", "Notlar", "Günlük", "Adres Defteri",
	/* Arabic */ "التقويم", "تقويم", "جهات الاتصال", "المهام", "مهام", "الملاحظات", "ملاحظات",
	"دفتر اليومية", "دفتر العناوين",
	/* Urdu */ "کیلنڈر", "تقویم", "روابط", "رابطے", "ٹاسکس", "ٹاسک", "کاموں کی فہرست", "نوٹس",
	"روزنامچہ", "جرنل",
	/* Chinese, simplified */ "日历", "联系人", "建议的联系人", "通讯录", "任务", "便笺", "笔记",
	"日记",
	/* Chinese, traditional */ "行事曆", "日曆", "連絡人", "聯絡人", "通訊錄", "任務", "待辦事項",
	"記事", "附註", "便箋", "日誌",
	/* Japanese */ "予定表", "カレンダー", "連絡先", "アドレス帳", "タスク", "メモ", "履歴",
	"ジャーナル",
};

/* At the top of an Exchange mailbox these exist already, and hold something else, or are refused. */
static const char *const reserved[] = {
	"Files", "Outbox", "Calendar", "Contacts", "Tasks", "Notes", "Journal", "Conversation History",
	"Sync Issues", "RSS Feeds", "RSS Subscriptions", "Conversation Action Settings",
	"Quick Step Settings", "Suggested Contacts", "Working Set", "Social Activity Notifications",
	"ExternalContacts", "PersonMetadata", "Yammer Root",
};

/* clang-format on */

static const char *const containers[] = {"INBOX", "[Gmail]", "[Google Mail]"};

/* Reads a name as folded words: each call gives the next character, a single blank between words for any
   "-", "_" and blanks there, 0 at the end. *p moves on. */
static uint32_t next_of_words(const char **p, const char *end, bool *is_inside)
{
	bool is_gap = false;
	while (*p < end) {
		uint32_t c;
		size_t used = fold_next(*p, (size_t)(end - *p), &c);
		if (c == ' ' || c == '-' || c == '_' || c == '\t') {
			is_gap = true;
		} else if (c != 0 && is_gap && *is_inside) {
			return ' '; /* c is read again, now without a gap */
		} else if (c != 0) {
			*p += used;
			*is_inside = true;
			return c;
		}
		*p += used;
	}
	return 0;
}

/* The name's words as UTF-8. */
bool map_names_key(const char *utf8, char key[MAP_NAMES_KEY])
{
	const char *end = utf8 + strlen(utf8);
	size_t len = 0;
	bool is_inside = false;
	for (uint32_t c; (c = next_of_words(&utf8, end, &is_inside)) != 0;) {
		if (len + 5 > MAP_NAMES_KEY)
			return false;
		len += utf8_encode(c, key + len);
	}
	key[len] = '\0';
	return len > 0;
}

/* Most names differ in the first character, so the table's name is read no further than it agrees. */
bool map_names_has_key(const char *utf8, const char *key)
{
	const char *end = utf8 + strlen(utf8);
	bool is_inside = false;
	for (uint32_t c; (c = next_of_words(&utf8, end, &is_inside)) != 0;) {
		char octets[4];
		size_t n = utf8_encode(c, octets);
		if (strncmp(key, octets, n) != 0)
			return false;
		key += n;
	}
	return *key == '\0';
}

static bool is_among(const char *key, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (map_names_has_key(names[i], key))
			return true;
	}
	return false;
}

enum folder_role map_role_by_name(const char *utf8)
{
	char key[MAP_NAMES_KEY];
	if (!map_names_key(utf8, key))
		return ROLE_NONE;
	if (strcmp(key, "inbox") == 0)
		return ROLE_INBOX;
	for (size_t r = 0; r < sizeof(roles) / sizeof(roles[0]); r++) {
		if (is_among(key, roles[r].names, roles[r].n))
			return roles[r].role;
	}
	return ROLE_NONE;
}

bool map_is_not_mail(const char *utf8)
{
	char key[MAP_NAMES_KEY];
	return map_names_key(utf8, key) && is_among(key, not_mail, sizeof(not_mail) / sizeof(not_mail[0]));
}

bool map_names_is_reserved(const char *utf8)
{
	char key[MAP_NAMES_KEY];
	return map_names_key(utf8, key) && is_among(key, reserved, sizeof(reserved) / sizeof(reserved[0]));
}

bool map_names_is_container(const char *utf8)
{
	char key[MAP_NAMES_KEY];
	return map_names_key(utf8, key) && is_among(key, containers, sizeof(containers) / sizeof(containers[0]));
}
