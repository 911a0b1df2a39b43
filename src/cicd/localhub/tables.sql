BEGIN IMMEDIATE;
CREATE TABLE users (
  id INTEGER PRIMARY KEY, login TEXT NOT NULL UNIQUE COLLATE NOCASE, name TEXT, type TEXT NOT NULL DEFAULT 'User',
  access TEXT NOT NULL DEFAULT 'write', created_at TEXT NOT NULL);
CREATE TABLE repos (
  id INTEGER PRIMARY KEY, owner TEXT NOT NULL COLLATE NOCASE, name TEXT NOT NULL COLLATE NOCASE, path TEXT NOT NULL,
  default_branch TEXT NOT NULL, private INTEGER NOT NULL, created_at TEXT NOT NULL, UNIQUE (owner, name));
CREATE TABLE tokens (
  id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, kind TEXT NOT NULL CHECK (kind IN ('user', 'app')),
  user_id INTEGER NOT NULL REFERENCES users, repo_id INTEGER REFERENCES repos, run_id INTEGER, permissions TEXT,
  created_at TEXT NOT NULL);
CREATE TABLE refs (
  repo_id INTEGER NOT NULL REFERENCES repos, name TEXT NOT NULL, sha TEXT NOT NULL, PRIMARY KEY (repo_id, name));
CREATE TABLE statuses (
  id INTEGER PRIMARY KEY, repo_id INTEGER NOT NULL REFERENCES repos, sha TEXT NOT NULL, state TEXT NOT NULL,
  context TEXT NOT NULL, description TEXT, target_url TEXT, creator_id INTEGER NOT NULL REFERENCES users,
  created_at TEXT NOT NULL);
CREATE INDEX statuses_sha ON statuses (repo_id, sha);
CREATE TABLE check_runs (
  id INTEGER PRIMARY KEY, repo_id INTEGER NOT NULL REFERENCES repos, head_sha TEXT NOT NULL, name TEXT NOT NULL,
  status TEXT NOT NULL, conclusion TEXT, external_id TEXT, details_url TEXT, title TEXT, summary TEXT, text TEXT,
  started_at TEXT, completed_at TEXT);
CREATE INDEX check_runs_sha ON check_runs (repo_id, head_sha);
CREATE TABLE annotations (
  id INTEGER PRIMARY KEY, check_run_id INTEGER NOT NULL REFERENCES check_runs, data TEXT NOT NULL);
CREATE INDEX annotations_run ON annotations (check_run_id);
CREATE TABLE environments (
  id INTEGER PRIMARY KEY, repo_id INTEGER NOT NULL REFERENCES repos, name TEXT NOT NULL COLLATE NOCASE,
  wait_timer INTEGER NOT NULL DEFAULT 0, prevent_self_review INTEGER NOT NULL DEFAULT 0,
  branch_policy TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, UNIQUE (repo_id, name));
CREATE TABLE reviewers (
  environment_id INTEGER NOT NULL REFERENCES environments ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES users, PRIMARY KEY (environment_id, user_id));
CREATE TABLE branch_policies (
  id INTEGER PRIMARY KEY, environment_id INTEGER NOT NULL REFERENCES environments ON DELETE CASCADE,
  name TEXT NOT NULL, type TEXT NOT NULL DEFAULT 'branch', UNIQUE (environment_id, name, type));
CREATE TABLE workflows (
  id INTEGER PRIMARY KEY, repo_id INTEGER NOT NULL REFERENCES repos, path TEXT NOT NULL, name TEXT NOT NULL,
  created_at TEXT NOT NULL, UNIQUE (repo_id, path));
CREATE TABLE runs (
  id INTEGER PRIMARY KEY, repo_id INTEGER NOT NULL REFERENCES repos,
  workflow_id INTEGER NOT NULL REFERENCES workflows, run_number INTEGER NOT NULL, attempt INTEGER NOT NULL DEFAULT 1,
  event TEXT NOT NULL, head_branch TEXT, head_sha TEXT NOT NULL, title TEXT NOT NULL, status TEXT NOT NULL,
  conclusion TEXT, actor_id INTEGER NOT NULL REFERENCES users, inputs TEXT NOT NULL DEFAULT '{}',
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE INDEX runs_repo ON runs (repo_id, status);
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES runs, attempt INTEGER NOT NULL, name TEXT NOT NULL,
  environment_id INTEGER REFERENCES environments ON DELETE SET NULL, status TEXT NOT NULL, conclusion TEXT,
  started_at TEXT NOT NULL, completed_at TEXT, UNIQUE (run_id, attempt, name, environment_id));
CREATE TABLE pendings (
  id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES runs, attempt INTEGER NOT NULL,
  environment_id INTEGER NOT NULL REFERENCES environments ON DELETE CASCADE, review TEXT, started_at TEXT NOT NULL,
  UNIQUE (run_id, environment_id, attempt));
CREATE TABLE approvals (
  id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES runs, user_id INTEGER NOT NULL REFERENCES users,
  state TEXT NOT NULL, comment TEXT NOT NULL, environment_ids TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE INDEX approvals_run ON approvals (run_id);
CREATE TABLE plans (
  run_id INTEGER NOT NULL REFERENCES runs, environment TEXT NOT NULL COLLATE NOCASE, markdown TEXT NOT NULL,
  created_at TEXT NOT NULL, PRIMARY KEY (run_id, environment));
CREATE TABLE deployments (
  id INTEGER PRIMARY KEY, repo_id INTEGER NOT NULL REFERENCES repos, sha TEXT NOT NULL, ref TEXT NOT NULL,
  task TEXT NOT NULL, payload TEXT NOT NULL, environment TEXT NOT NULL COLLATE NOCASE,
  original_environment TEXT NOT NULL, description TEXT, transient INTEGER NOT NULL, production INTEGER NOT NULL,
  creator_id INTEGER NOT NULL REFERENCES users, job_id INTEGER REFERENCES jobs, created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL);
CREATE INDEX deployments_environment ON deployments (repo_id, environment);
CREATE INDEX deployments_job ON deployments (job_id);
CREATE TABLE deployment_statuses (
  id INTEGER PRIMARY KEY, deployment_id INTEGER NOT NULL REFERENCES deployments, state TEXT NOT NULL,
  description TEXT NOT NULL, environment TEXT NOT NULL, environment_url TEXT NOT NULL, log_url TEXT NOT NULL,
  creator_id INTEGER NOT NULL REFERENCES users, created_at TEXT NOT NULL);
CREATE INDEX deployment_statuses_of ON deployment_statuses (deployment_id);
CREATE TABLE issues (
  id INTEGER PRIMARY KEY, repo_id INTEGER NOT NULL REFERENCES repos, number INTEGER NOT NULL, title TEXT NOT NULL,
  body TEXT, state TEXT NOT NULL, state_reason TEXT, user_id INTEGER NOT NULL REFERENCES users,
  closed_by INTEGER REFERENCES users, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, closed_at TEXT,
  UNIQUE (repo_id, number));
CREATE TABLE labels (
  id INTEGER PRIMARY KEY, repo_id INTEGER NOT NULL REFERENCES repos, name TEXT NOT NULL COLLATE NOCASE,
  color TEXT NOT NULL, description TEXT, UNIQUE (repo_id, name));
CREATE TABLE issue_labels (
  issue_id INTEGER NOT NULL REFERENCES issues, label_id INTEGER NOT NULL REFERENCES labels ON DELETE CASCADE,
  PRIMARY KEY (issue_id, label_id));
CREATE TABLE assignees (
  issue_id INTEGER NOT NULL REFERENCES issues, user_id INTEGER NOT NULL REFERENCES users,
  PRIMARY KEY (issue_id, user_id));
CREATE TABLE comments (
  id INTEGER PRIMARY KEY, issue_id INTEGER NOT NULL REFERENCES issues, body TEXT NOT NULL,
  user_id INTEGER NOT NULL REFERENCES users, created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE INDEX comments_issue ON comments (issue_id);
CREATE TABLE faults (
  id INTEGER PRIMARY KEY, method TEXT NOT NULL, path TEXT NOT NULL, skip INTEGER NOT NULL, times INTEGER,
  kind TEXT NOT NULL, status INTEGER NOT NULL, retry_after INTEGER, seconds REAL NOT NULL,
  matched INTEGER NOT NULL DEFAULT 0, fired INTEGER NOT NULL DEFAULT 0);
CREATE TABLE calls (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, status INTEGER NOT NULL,
  ms REAL NOT NULL, token_id INTEGER, run_id INTEGER, repo_id INTEGER, fault TEXT, free INTEGER NOT NULL);
CREATE INDEX calls_token ON calls (token_id, at);
CREATE INDEX calls_repo ON calls (repo_id, at);
CREATE INDEX calls_run ON calls (run_id);
CREATE TABLE events (
  id INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, repo TEXT, data TEXT NOT NULL);
INSERT INTO users (id, login, name, type, created_at)
  VALUES (41898282, 'github-actions[bot]', 'GitHub Actions', 'Bot', '2018-07-30T09:30:17Z');
PRAGMA user_version = 1;
COMMIT;
