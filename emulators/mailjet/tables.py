"""The tables behind the Mailjet emulator."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE IF NOT EXISTS apikey (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  api_key TEXT NOT NULL UNIQUE,
  secret TEXT NOT NULL,
  name TEXT NOT NULL,
  is_master INTEGER NOT NULL,
  is_active INTEGER NOT NULL DEFAULT 1,
  created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS dns (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  apikey_id INTEGER NOT NULL REFERENCES apikey(id),
  domain TEXT NOT NULL COLLATE NOCASE,
  token TEXT NOT NULL,
  dkim_private TEXT NOT NULL,
  dkim_public TEXT NOT NULL,
  dkim_status TEXT NOT NULL DEFAULT '',
  spf_status TEXT NOT NULL DEFAULT '',
  last_check_at TEXT NOT NULL DEFAULT '',
  UNIQUE (apikey_id, domain)
);
CREATE TABLE IF NOT EXISTS sender (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  apikey_id INTEGER NOT NULL REFERENCES apikey(id),
  email TEXT NOT NULL COLLATE NOCASE,
  name TEXT NOT NULL,
  email_type TEXT NOT NULL,
  is_default INTEGER NOT NULL,
  status TEXT NOT NULL,
  dns_id INTEGER NOT NULL,
  filename TEXT NOT NULL,
  activation TEXT NOT NULL DEFAULT '',
  created_at TEXT NOT NULL,
  UNIQUE (apikey_id, email)
);
CREATE TABLE IF NOT EXISTS parseroute (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  apikey_id INTEGER NOT NULL REFERENCES apikey(id),
  email TEXT NOT NULL UNIQUE COLLATE NOCASE,
  url TEXT NOT NULL,
  is_auto INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS parseroute_apikey ON parseroute (apikey_id, id);
CREATE TABLE IF NOT EXISTS eventcallback (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  apikey_id INTEGER NOT NULL REFERENCES apikey(id),
  event_type TEXT NOT NULL,
  url TEXT NOT NULL,
  version INTEGER NOT NULL,
  status TEXT NOT NULL,
  is_backup INTEGER NOT NULL,
  UNIQUE (apikey_id, event_type, is_backup)
);
CREATE TABLE IF NOT EXISTS message (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL,
  apikey_id INTEGER NOT NULL REFERENCES apikey(id),
  via TEXT NOT NULL,
  mail_from TEXT NOT NULL,
  recipient TEXT NOT NULL,
  subject TEXT NOT NULL,
  header_id TEXT NOT NULL,
  custom_id TEXT NOT NULL,
  event_payload TEXT NOT NULL,
  campaign TEXT NOT NULL,
  status TEXT NOT NULL,
  reply TEXT NOT NULL DEFAULT '',
  content_id INTEGER NOT NULL REFERENCES content(id),
  arrived_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS message_header ON message (apikey_id, header_id);
CREATE INDEX IF NOT EXISTS message_status ON message (status, id);
CREATE TABLE IF NOT EXISTS content (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  octets BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS delivery (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  target_id INTEGER NOT NULL,
  recipient TEXT NOT NULL,
  header_id TEXT NOT NULL,
  event TEXT NOT NULL,
  body BLOB,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  status INTEGER,
  error TEXT NOT NULL DEFAULT '',
  due REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (state, due);
CREATE TABLE IF NOT EXISTS attempt (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  delivery_id INTEGER NOT NULL,
  at REAL NOT NULL,
  ms REAL NOT NULL,
  status INTEGER,
  error TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS attempt_delivery ON attempt (delivery_id, id);
CREATE TABLE IF NOT EXISTS answer (
  attempt_id INTEGER PRIMARY KEY,
  delivery_id INTEGER NOT NULL,
  body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS answer_delivery ON answer (delivery_id);
CREATE TABLE IF NOT EXISTS letter (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  message_id INTEGER,
  octets BLOB,
  author TEXT NOT NULL,
  sender TEXT NOT NULL COLLATE NOCASE,
  recipient TEXT NOT NULL COLLATE NOCASE,
  subject TEXT NOT NULL,
  header_id TEXT NOT NULL,
  thread TEXT NOT NULL,
  delivery_id INTEGER,
  at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS letter_message ON letter (message_id);
CREATE INDEX IF NOT EXISTS letter_header ON letter (header_id);
CREATE INDEX IF NOT EXISTS letter_thread ON letter (thread, id);
CREATE TABLE IF NOT EXISTS agent (
  address TEXT PRIMARY KEY COLLATE NOCASE,
  agent_id TEXT NOT NULL,
  name TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS unsubscribed (
  apikey_id INTEGER NOT NULL,
  recipient TEXT NOT NULL,
  PRIMARY KEY (apikey_id, recipient)
);
CREATE TABLE IF NOT EXISTS switches (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  value TEXT NOT NULL
);
"""

FIRST_IDS = {
    # dns and sender ids start where recorded answers have them: the former no longer fit 32 bits.
    "apikey": 123456,
    "dns": 4758228829,
    "sender": 28686,
    "parseroute": 789,
    "eventcallback": 4001,
    # Larger than a double holds exactly (2^53).
    "message": 576464555653964483,
}
