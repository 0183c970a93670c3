-- The tables and columns of PostfixAdmin that mail servers ask, for PostgreSQL.
CREATE TABLE domain (
    domain      varchar(255) PRIMARY KEY,
    description varchar(255) NOT NULL DEFAULT '',
    aliases     integer NOT NULL DEFAULT 0,
    mailboxes   integer NOT NULL DEFAULT 0,
    maxquota    bigint NOT NULL DEFAULT 0,
    quota       bigint NOT NULL DEFAULT 0,
    transport   varchar(255) NOT NULL DEFAULT 'virtual',
    backupmx    boolean NOT NULL DEFAULT false,
    created     timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    modified    timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    active      boolean NOT NULL DEFAULT true
);
CREATE TABLE mailbox (
    username    varchar(255) PRIMARY KEY,
    password    varchar(255) NOT NULL,
    name        varchar(255) NOT NULL DEFAULT '',
    maildir     varchar(255) NOT NULL,
    quota       bigint NOT NULL DEFAULT 0, -- octets; 0: no limit
    local_part  varchar(255) NOT NULL,
    domain      varchar(255) NOT NULL REFERENCES domain (domain),
    created     timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    modified    timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    active      boolean NOT NULL DEFAULT true
);
CREATE TABLE alias (
    address     varchar(255) PRIMARY KEY, -- '@domain' catches what has no row of its own
    goto        text NOT NULL,
    domain      varchar(255) NOT NULL REFERENCES domain (domain),
    created     timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    modified    timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    active      boolean NOT NULL DEFAULT true
);
CREATE TABLE alias_domain (
    alias_domain  varchar(255) PRIMARY KEY REFERENCES domain (domain),
    target_domain varchar(255) NOT NULL REFERENCES domain (domain),
    created       timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    modified      timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    active        boolean NOT NULL DEFAULT true
);
