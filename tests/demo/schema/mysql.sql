-- The tables and columns of PostfixAdmin that mail servers ask, for MariaDB.
CREATE TABLE domain (
    domain      VARCHAR(255) PRIMARY KEY,
    description VARCHAR(255) NOT NULL DEFAULT '',
    aliases     INT NOT NULL DEFAULT 0,
    mailboxes   INT NOT NULL DEFAULT 0,
    maxquota    BIGINT NOT NULL DEFAULT 0,
    quota       BIGINT NOT NULL DEFAULT 0,
    transport   VARCHAR(255) NOT NULL DEFAULT 'virtual',
    backupmx    TINYINT(1) NOT NULL DEFAULT 0,
    created     DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    modified    DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    active      TINYINT(1) NOT NULL DEFAULT 1
);
CREATE TABLE mailbox (
    username    VARCHAR(255) PRIMARY KEY,
    password    VARCHAR(255) NOT NULL,
    name        VARCHAR(255) NOT NULL DEFAULT '',
    maildir     VARCHAR(255) NOT NULL,
    quota       BIGINT NOT NULL DEFAULT 0, -- octets; 0: no limit
    local_part  VARCHAR(255) NOT NULL,
    domain      VARCHAR(255) NOT NULL REFERENCES domain (domain),
    created     DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    modified    DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    active      TINYINT(1) NOT NULL DEFAULT 1
);
CREATE TABLE alias (
    address     VARCHAR(255) PRIMARY KEY, -- '@domain' catches what has no row of its own
    goto        TEXT NOT NULL,
    domain      VARCHAR(255) NOT NULL REFERENCES domain (domain),
    created     DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    modified    DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    active      TINYINT(1) NOT NULL DEFAULT 1
);
CREATE TABLE alias_domain (
    alias_domain  VARCHAR(255) PRIMARY KEY REFERENCES domain (domain),
    target_domain VARCHAR(255) NOT NULL REFERENCES domain (domain),
    created       DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    modified      DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    active        TINYINT(1) NOT NULL DEFAULT 1
);
