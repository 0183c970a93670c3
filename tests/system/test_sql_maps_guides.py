"""The SQL tables of the guides' mail servers, each asked through sql-maps and through Postfix's own driver."""

from harness import MariaDb, Postgres
from sql_tables import TableTest

# A postfixadmin database (guides 1 and 2), the Debian guides' own (3 and 4), and the bcc tables beside them.
SCHEMA = """
CREATE TABLE alias (address VARCHAR(255) PRIMARY KEY, goto TEXT NOT NULL, domain VARCHAR(255), active INTEGER DEFAULT 1);
INSERT INTO alias VALUES ('abuse@example.com', 'ann@example.com,bob@example.com', 'example.com', 1),
  ('off@example.com', 'ann@example.com', 'example.com', 0), ('@catch.example', 'ann@example.com', 'catch.example', 1);
CREATE TABLE alias_domain (alias_domain VARCHAR(255) PRIMARY KEY, target_domain VARCHAR(255), active INTEGER DEFAULT 1);
INSERT INTO alias_domain VALUES ('example.net', 'example.com', 1);
CREATE TABLE domain (domain VARCHAR(255) PRIMARY KEY, transport VARCHAR(255), backupmx INTEGER DEFAULT 0, active INTEGER DEFAULT 1);
INSERT INTO domain VALUES ('all', '', 0, 0), ('example.com', 'virtual', 0, 1), ('backup.example', 'relay:', 1, 1), ('off.example', 'virtual', 0, 0);
CREATE TABLE mailbox (username VARCHAR(255) PRIMARY KEY, maildir VARCHAR(255), quota BIGINT, active INTEGER DEFAULT 1);
INSERT INTO mailbox VALUES ('ann@example.com', 'example.com/ann/', 1024, 1), ('bob@example.com', 'example.com/bob/', 0, 1),
  ('o''hara@example.com', 'example.com/o''hara/', 0, 1);
CREATE TABLE domains (domain VARCHAR(255) PRIMARY KEY);
INSERT INTO domains VALUES ('example.com');
CREATE TABLE accounts (email VARCHAR(255) PRIMARY KEY);
INSERT INTO accounts VALUES ('ann@example.com'), ('bob@example.com');
CREATE TABLE forwardings (source VARCHAR(255), destination VARCHAR(255));
INSERT INTO forwardings VALUES ('team@example.com', 'ann@example.com'), ('team@example.com', 'bob@example.com');
CREATE TABLE transports (domain VARCHAR(255) PRIMARY KEY, transport VARCHAR(255));
INSERT INTO transports VALUES ('example.com', 'lmtp:unix:private/lmtp'), ('.example.org', 'smtp:[mx.example.org]:2525');
CREATE TABLE relay_auth (source VARCHAR(255) PRIMARY KEY, username VARCHAR(255), password VARCHAR(255));
INSERT INTO relay_auth VALUES ('ann@example.com', 'ann', 'it''s:secret');
CREATE TABLE sender_relays (source VARCHAR(255) PRIMARY KEY, relay VARCHAR(255));
INSERT INTO sender_relays VALUES ('ann@example.com', '[smtp.example.org]:587'), ('@example.com', '[smtp.example.net]');
CREATE TABLE users (userid VARCHAR(128) PRIMARY KEY, password VARCHAR(128), uid INTEGER NOT NULL, gid INTEGER NOT NULL, home VARCHAR(128));
INSERT INTO users VALUES ('user@snorl.example', 'pw', 5000, 5001, 'snorl.example/mails/user'), ('user2@snorl.example', NULL, 5000, 5000, 'snorl.example/mails/user2');
CREATE TABLE transport (domain VARCHAR(128) PRIMARY KEY, transport VARCHAR(128) NOT NULL);
INSERT INTO transport VALUES ('snorl.example', 'virtual:');
CREATE TABLE virtual_users (address VARCHAR(255) PRIMARY KEY, userid VARCHAR(255) NOT NULL);
INSERT INTO virtual_users VALUES ('kim@snorl.example', 'user@snorl.example');
CREATE VIEW postfix_mailboxes AS SELECT userid, {concat_home} AS mailbox FROM users
  UNION ALL SELECT domain AS userid, 'dummy' AS mailbox FROM transport;
CREATE VIEW postfix_virtual AS SELECT userid, userid AS address FROM users UNION ALL SELECT userid, address FROM virtual_users;
CREATE TABLE bcc (address VARCHAR(255) PRIMARY KEY, copy VARCHAR(255));
INSERT INTO bcc VALUES ('ann@example.com', 'archive@example.com'), ('@example.com', 'audit@example.com');
"""


def legacy(table, select, where, more=""):
    return f"table = {table}\nselect_field = {select}\nwhere_field = {where}\n" + (f"additional_conditions = {more}\n" if more else "")


def query(text):
    return f"query = {text}\n"


# name: (parameters, keys that are in the table). {concat:a b c} is written for each database.
TABLES = {
    # guide 1: PostgreSQL with postfixadmin, the legacy form
    "virtual_alias_maps": (legacy("alias", "goto", "address", "AND active = '1'"), 2),
    "virtual_mailbox_domains": (legacy("domain", "domain", "domain"), 4),
    "virtual_mailbox_maps": (legacy("mailbox", "maildir", "username"), 3),
    # guide 2: MariaDB with postfixadmin, its query form
    "virtual_domains_maps": (query("SELECT domain FROM domain WHERE domain='%s' AND backupmx = '0' AND active = '1'"), 1),
    "relay_domains": (query("SELECT domain FROM domain WHERE domain='%s' AND backupmx = '1' AND active = '1'"), 1),
    "virtual_alias_domain_maps": (query("SELECT goto FROM alias, alias_domain WHERE alias_domain.alias_domain = '%d' AND "
                                        "alias.address = {concat:'%u' '@' alias_domain.target_domain} AND alias.active = 1 "
                                        "AND alias_domain.active = 1"), 1),
    "virtual_mailbox_limit_maps": (query("SELECT quota FROM mailbox WHERE username='%s' AND active = '1'"), 3),
    "postfixadmin_transport": (query("SELECT transport FROM domain WHERE domain='%s' AND active = '1'"), 2),
    # guide 3: Debian with either database
    "virtual-mailbox-domains": (query("SELECT 1 FROM domains WHERE domain = '%s'"), 1),
    "virtual-mailbox-maps": (query("SELECT 1 FROM accounts WHERE email = '%s'"), 2),
    "virtual-alias-maps": (query("SELECT destination FROM forwardings WHERE source = '%s'"), 1),
    "virtual-email2email": (query("SELECT email FROM accounts WHERE email = '%s'"), 2),
    "virtual-transports": (query("SELECT transport FROM transports WHERE domain = '%s'"), 2),
    "virtual-sasl-passwd-maps": (query("SELECT {concat:username ':' password} FROM relay_auth WHERE source = '%s'"), 1),
    "virtual-sender-relay-maps": (query("SELECT relay FROM sender_relays WHERE source = '%s'"), 2),
    # guide 4: PostgreSQL, the legacy form over views
    "transport": (legacy("transport", "transport", "domain"), 1),
    "uids": (legacy("users", "uid", "userid"), 2),
    "gids": (legacy("users", "gid", "userid"), 2),
    "mailboxes": (legacy("postfix_mailboxes", "mailbox", "userid"), 3),
    "virtual": (legacy("postfix_virtual", "userid", "address"), 3),
    "password": (legacy("users", "password", "userid"), 1),
    # what the guides keep in files, as tables: blind copies and who may send as whom
    "sender_bcc": (legacy("bcc", "copy", "address"), 2),
    "recipient_bcc": (query("SELECT copy FROM bcc WHERE address = '%s' AND '%d' = 'example.com'") + "domain = example.com\n", 1),
    "sender_login": (query("SELECT username FROM mailbox WHERE username = '%s' AND active = '1' UNION "
                           "SELECT goto FROM alias WHERE address = '%s' AND active = '1'"), 5),
}
KEYS = ["ann@example.com", "Ann@Example.COM", "bob@example.com", "o'hara@example.com", "abuse@example.com", "off@example.com",
        "abuse@example.net", "@catch.example", "@example.com", "example.com", "example.net", "backup.example", "off.example", "ALL",
        ".example.org", "team@example.com", "user@snorl.example", "user2@snorl.example", "kim@snorl.example", "snorl.example",
        "nobody@example.com", "ann+ext@example.com", "*", "x' OR '1'='1", "ann"]


class GuideTest(TableTest):
    def tables_of_the_guides(self, database):
        self.serve(database)
        postgres = database.driver == "pgsql"

        def written(text):
            while "{concat:" in text:
                before, rest = text.split("{concat:", 1)
                pieces, after = rest.split("}", 1)
                text = before + (" || ".join(pieces.split()) if postgres else f"CONCAT({', '.join(pieces.split())})") + after
            return text
        for name, (text, count) in TABLES.items():
            table = self.table(name, written(text))
            own, ours = self.ask(table, KEYS), self.ask(f"proxy:{table}", KEYS)
            self.assertEqual(ours, own, name)
            self.assertEqual(len({line.split("\t")[0].lower() for line in ours}), count, f"{name}: {ours}")
        self.assertNotIn("warning", self.daemon.log())


class PostgresGuideTest(GuideTest):
    def test_every_table_of_the_guides_answers_as_postfix_does(self):
        self.tables_of_the_guides(self.enterContext(Postgres(self.box, SCHEMA.replace("{concat_home}", "home||'/'"))))


class MariaDbGuideTest(GuideTest):
    def test_every_table_of_the_guides_answers_as_postfix_does(self):
        self.tables_of_the_guides(self.enterContext(MariaDb(self.box, SCHEMA.replace("{concat_home}", "CONCAT(home, '/')"))))


if __name__ == "__main__":
    import unittest
    unittest.main()
