-- Came later than the other tables: a file of before gets them when it is opened.
CREATE TABLE IF NOT EXISTS pulls (
  id INTEGER PRIMARY KEY, issue_id INTEGER NOT NULL UNIQUE REFERENCES issues, head_owner TEXT NOT NULL COLLATE NOCASE,
  head_ref TEXT NOT NULL, head_sha TEXT NOT NULL, base_ref TEXT NOT NULL, base_sha TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS run_heads (
  run_id INTEGER PRIMARY KEY REFERENCES runs, owner TEXT NOT NULL COLLATE NOCASE);
CREATE TABLE IF NOT EXISTS artifacts (
  id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES runs, name TEXT NOT NULL, data BLOB NOT NULL,
  secret TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS artifacts_run ON artifacts (run_id);
