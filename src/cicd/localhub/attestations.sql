-- Came later than the other tables: a file of before gets them when it is opened.
CREATE TABLE IF NOT EXISTS attestations (
  id INTEGER PRIMARY KEY, repo_id INTEGER NOT NULL REFERENCES repos, bundle TEXT NOT NULL, predicate_type TEXT NOT NULL,
  initiator TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS attestation_subjects (
  attestation_id INTEGER NOT NULL REFERENCES attestations ON DELETE CASCADE, digest TEXT NOT NULL,
  PRIMARY KEY (digest, attestation_id));
