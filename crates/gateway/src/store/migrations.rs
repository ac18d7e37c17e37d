//! How the tables came to be what they are.

/// Each step, in order. A database notes in `schema_version` how many of them it has been through; what was released is
/// never changed, only followed by another step.
///
/// Ids are made here, not by the database (`crate::ledger::ids`): a row that is written again is known by its id. They
/// grow with time, so that they serve as the index by time.
pub const MIGRATIONS: [Migration; 12] = [
    Migration::Both(LEDGER),
    Migration::Both(MORE_OF_REQUESTS),
    Migration::Postgres(NODES),
    Migration::Both(CONTENTS),
    Migration::Postgres(NODES_OF_CONTENTS),
    Migration::Both(CLIENTS),
    Migration::Both(FROM_CACHE),
    Migration::Both(DELETED),
    Migration::Both(ATTEMPTS_IN_REQUESTS),
    Migration::Postgres(NODES_OF_ATTEMPTS),
    Migration::Both(FOUND_BY_TIME),
    Migration::Both(GROUPS),
];

/// A step. Databases that it is not for count it too.
#[derive(Debug)]
pub enum Migration {
    /// For every database, in SQLite's words.
    Both(&'static str),
    /// For PostgreSQL alone.
    Postgres(&'static str),
}

impl Migration {
    /// The statements for SQLite.
    pub fn for_sqlite(&self) -> &'static str {
        match self {
            Self::Both(step) => step,
            Self::Postgres(_) => "",
        }
    }

    /// The statements for PostgreSQL.
    pub fn for_postgres(&self) -> String {
        match self {
            // SQLite's integers have as many bits as they need.
            Self::Both(step) => step.replace("INTEGER", "BIGINT").replace("WITHOUT ROWID", ""),
            Self::Postgres(step) => (*step).to_owned(),
        }
    }
}

/// A row for each request, and one for each attempt.
const LEDGER: &str = "
    CREATE TABLE requests (
        id           INTEGER PRIMARY KEY,      -- grows with time
        request      TEXT,             -- the id in x-request-id; a caller may send its own, even twice
        time         INTEGER NOT NULL, -- when it came, in milliseconds since 1970
        client       TEXT,
        method       TEXT,
        path         TEXT,
        dialect      TEXT,             -- the caller's
        streamed     INTEGER NOT NULL, -- whether a stream was asked for
        asked        TEXT,             -- the model asked for
        model        TEXT,             -- who answered: provider/model
        provider     TEXT,
        status       INTEGER NOT NULL,
        error        TEXT,
        attempts     INTEGER NOT NULL,
        input        INTEGER,          -- tokens, in buckets of which none includes another; NULL when nobody told
        cached       INTEGER,
        cache_write  INTEGER,
        audio_input  INTEGER,
        image_input  INTEGER,
        output       INTEGER,
        reasoning    INTEGER,
        audio_output INTEGER,
        images       INTEGER,          -- pictures that were made
        estimated    INTEGER NOT NULL, -- whether the tokens are an estimate
        cost         INTEGER,          -- in nano-dollars; NULL when the price is not known
        waited       INTEGER,          -- for providers, until the first content, in microseconds
        own          INTEGER,          -- the gateway's own part of the time until then
        total        INTEGER NOT NULL, -- until the request was over
        lost         TEXT,             -- what could not be said in the provider's protocol
        tags         TEXT
    );
    CREATE TABLE attempts (
        request INTEGER NOT NULL,      -- requests.id
        number  INTEGER NOT NULL,      -- from 1
        target  TEXT,                  -- provider/model
        key     TEXT,                  -- the first 8 hexadecimal digits of the SHA-256 of the provider's key
        outcome TEXT NOT NULL,
        status  INTEGER,
        latency INTEGER,               -- until the first content, in microseconds
        PRIMARY KEY (request, number)
    ) WITHOUT ROWID;
";

/// Where a request went, and whose fault it is when it was in vain. One is found by its id.
const MORE_OF_REQUESTS: &str = "
    ALTER TABLE requests ADD COLUMN route TEXT;            -- the name that led to the targets
    ALTER TABLE requests ADD COLUMN provider_dialect TEXT; -- of the one that answered
    ALTER TABLE requests ADD COLUMN fault TEXT;            -- caller, provider or gateway; NULL when all went well
    ALTER TABLE attempts ADD COLUMN dialect TEXT;          -- the provider's
    ALTER TABLE attempts ADD COLUMN begun INTEGER;         -- in microseconds after the request came
    CREATE INDEX requests_by_request ON requests (request);
";

/// Several gateways write to one database. An id is unique within one; the number that a process draws tells them apart.
const NODES: &str = "
    ALTER TABLE requests ADD COLUMN node BIGINT NOT NULL DEFAULT 0,
        DROP CONSTRAINT requests_pkey, ADD PRIMARY KEY (id, node);
    ALTER TABLE attempts ADD COLUMN node BIGINT NOT NULL DEFAULT 0,
        DROP CONSTRAINT attempts_pkey, ADD PRIMARY KEY (request, number, node);
";

/// What was said, where that is kept.
const CONTENTS: &str = "
    CREATE TABLE contents (
        request INTEGER PRIMARY KEY, -- requests.id
        prompt  TEXT,                -- the body of the request
        answer  TEXT,                -- the body of the answer, as the caller got it
        is_cut  INTEGER NOT NULL     -- whether one of them was longer
    );
";

const NODES_OF_CONTENTS: &str = "
    ALTER TABLE contents ADD COLUMN node BIGINT NOT NULL DEFAULT 0,
        DROP CONSTRAINT contents_pkey, ADD PRIMARY KEY (request, node);
";

/// Clients that are not in the file, and their keys.
const CLIENTS: &str = "
    CREATE TABLE clients (
        name     TEXT PRIMARY KEY,
        created  INTEGER NOT NULL,     -- in milliseconds since 1970
        settings TEXT NOT NULL         -- JSON: what [[clients]] of the file says, but for the key
    );
    CREATE TABLE client_keys (
        hash    TEXT PRIMARY KEY,      -- the SHA-256 of the key, in hexadecimal
        client  TEXT NOT NULL,         -- clients.name
        prefix  TEXT NOT NULL,         -- how the key begins
        created INTEGER NOT NULL,
        ends    INTEGER                -- when it is refused from; NULL when its client says so
    );
    CREATE TABLE client_changes (
        number INTEGER NOT NULL        -- grows with every change of the two tables, for those who look for changes
    );
    INSERT INTO client_changes VALUES (0);
";

/// Answers that were kept from an earlier request.
const FROM_CACHE: &str = "
    ALTER TABLE requests ADD COLUMN from_cache INTEGER NOT NULL DEFAULT 0; -- whether the answer was kept from an earlier one
";

/// What the rows cost that are deleted, so that budgets do not forget them.
const DELETED: &str = "
    CREATE TABLE deleted (
        client TEXT NOT NULL,
        day    INTEGER NOT NULL,       -- in days since 1970, in UTC; 0 for all that are no longer of any month that it may be
        cost   INTEGER NOT NULL,       -- in nano-dollars
        PRIMARY KEY (client, day)
    ) WITHOUT ROWID;
";

/// Most requests are put to one target, which answers: then the row of the request says all that there is to say of the attempt.
/// Whoever reads finds all attempts in one place, as before. With the casts both halves of the view are of the same types, without
/// which SQLite would read all of it to join it.
const ATTEMPTS_IN_REQUESTS: &str = "
    ALTER TABLE attempts RENAME TO attempts_apart;
    ALTER TABLE requests ADD COLUMN attempt_key TEXT;        -- the key, latency and begun of the only attempt, if it answered
    ALTER TABLE requests ADD COLUMN attempt_latency INTEGER;
    ALTER TABLE requests ADD COLUMN attempt_begun INTEGER;   -- NULL: the attempts are in attempts_apart
    CREATE VIEW attempts AS
        SELECT request, number, target, key, outcome, status, latency, dialect, begun FROM attempts_apart
        UNION ALL
        SELECT id, CAST(1 AS INTEGER), model, attempt_key, CAST('answered' AS TEXT), status, attempt_latency,
            provider_dialect, attempt_begun
        FROM requests WHERE attempt_begun IS NOT NULL;
";

const NODES_OF_ATTEMPTS: &str = "
    CREATE OR REPLACE VIEW attempts AS
        SELECT request, number, target, key, outcome, status, latency, dialect, begun, node FROM attempts_apart
        UNION ALL
        SELECT id, CAST(1 AS BIGINT), model, attempt_key, CAST('answered' AS TEXT), status, attempt_latency,
            provider_dialect, attempt_begun, node
        FROM requests WHERE attempt_begun IS NOT NULL;
";

/// The ids of most requests are made here and tell where their rows are (`crate::ledger::ids::soon_after`). An index of those
/// would take a third of the time that it takes to write a row.
const FOUND_BY_TIME: &str = "
    ALTER TABLE requests ADD COLUMN found_by_time INTEGER NOT NULL DEFAULT 0; -- whether that is so; else the index has the row
    DROP INDEX requests_by_request;
    CREATE INDEX requests_by_request ON requests (request) WHERE found_by_time = 0;
";

/// The group that a client belonged to then: its budget is spent also by those who have left it, or are no more.
const GROUPS: &str = "
    ALTER TABLE requests ADD COLUMN client_group TEXT;
    ALTER TABLE deleted RENAME TO deleted_by_client;
    CREATE TABLE deleted (
        client       TEXT NOT NULL,
        client_group TEXT NOT NULL,
        day          INTEGER NOT NULL, -- in days since 1970, in UTC; 0 for all that are no longer of any month that it may be
        cost         INTEGER NOT NULL, -- in nano-dollars
        PRIMARY KEY (client, client_group, day)
    ) WITHOUT ROWID;
    INSERT INTO deleted SELECT client, '', day, cost FROM deleted_by_client;
    DROP TABLE deleted_by_client;
";
