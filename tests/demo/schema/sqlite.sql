-- The tables and columns of PostfixAdmin that mail servers ask, for SQLite.
CREATE TABLE domain (
    domain      TEXT PRIMARY KEY,
    description TEXT NOT NULL DEFAULT '',
    aliases     INTEGER NOT NULL DEFAULT 0,
    mailboxes   INTEGER NOT NULL DEFAULT 0,
    maxquota    INTEGER NOT NULL DEFAULT 0,
    quota       INTEGER NOT NULL DEFAULT 0,
    transport   TEXT NOT NULL DEFAULT 'virtual',
    backupmx    INTEGER NOT NULL DEFAULT 0,
    created     TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    modified    TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    active      INTEGER NOT NULL DEFAULT 1
);
CREATE TABLE mailbox (
    username    TEXT PRIMARY KEY,
    password    TEXT NOT NULL,
    name        TEXT NOT NULL DEFAULT '',
    maildir     TEXT NOT NULL,
    quota       INTEGER NOT NULL DEFAULT 0, -- octets; 0: no limit
    local_part  TEXT NOT NULL,
    domain      TEXT NOT NULL REFERENCES domain (domain),
    created     TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    modified    TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    active      INTEGER NOT NULL DEFAULT 1
);
CREATE TABLE alias (
    address     TEXT PRIMARY KEY, -- '@domain' catches what has no row of its own
    goto        TEXT NOT NULL,
    domain      TEXT NOT NULL REFERENCES domain (domain),
    created     TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    modified    TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    active      INTEGER NOT NULL DEFAULT 1
);
CREATE TABLE alias_domain (
    alias_domain  TEXT PRIMARY KEY REFERENCES domain (domain),
    target_domain TEXT NOT NULL REFERENCES domain (domain),
    created       TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    modified      TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    active        INTEGER NOT NULL DEFAULT 1
);
