"""sql-maps beside a private Postfix, for the tests of its tables: a schema, queries, hostile keys, two ways to ask."""

import random

from harness import Daemon, Postfix, SystemTest

SCHEMA = """
CREATE TABLE multi (k VARCHAR(600), a VARCHAR(600), b VARCHAR(255), n INTEGER);
INSERT INTO multi VALUES ('k@example.com', 'one@d1', 'two@d2', 1), ('k@example.com', 'three', NULL, 2),
  ('k2@example.com', 'one@d1', '', 3), ('null@example.com', NULL, NULL, 4), ('empty@example.com', '', '', 5),
  ('@example.com', 'catch@x', NULL, 6), ('alice', 'barealice@x', NULL, 7), ('alice@example.com', 'a1@x', NULL, 8),
  ('o''brien@example.com', 'ob@x', NULL, 9), ('single@com', 'label@x', NULL, 10), ('a@b@example.com', 'ab@x', NULL, 11),
  ('percent%@example.com', 'p@x', NULL, 12), ('under_score@example.com', 'us@x', NULL, 13), ('number@example.com', '5', '6', 14),
  ('limit@limit.example', 'one', NULL, 15), ('limit@limit.example', 'two', NULL, 16);
"""

# Queries that every driver understands.
QUERIES = {
    "plain": "query = SELECT a FROM multi WHERE k='%s'",
    "columns": "query = SELECT a, b FROM multi WHERE k='%s' ORDER BY n",
    "parts": "query = SELECT a FROM multi WHERE k='%u@%d' ORDER BY n",
    "user": "query = SELECT a FROM multi WHERE k='%u' OR k='%U@example.com' ORDER BY n",
    "like": "query = SELECT k FROM multi WHERE k LIKE '%%%u%%' AND '%d'='example.com' ORDER BY n",
    "labels": "query = SELECT a FROM multi WHERE k='%u@%2.%1' ORDER BY n",
    "number": "query = SELECT n, n+1 FROM multi WHERE k='%s' ORDER BY n",
    "lower": "query = SELECT a FROM multi WHERE lower(k)=lower('%s') ORDER BY n",
    "coalesce": "query = SELECT COALESCE((SELECT a FROM multi WHERE k='%s' ORDER BY n LIMIT 1), 'nobody-%u')",
    "echo": "query = SELECT '%s', '%u', '[%d]'",
    "legacy": "table = multi\nselect_field = a\nwhere_field = k\nadditional_conditions = AND n < 100 ORDER BY n",
    "domains": "query = SELECT 'hit-%s-%u-%d-%1-%2'\ndomain = !bad.example.org, example.com sub.example.org, com, {list}",
    "format": "query = SELECT a, b FROM multi WHERE k='%s' ORDER BY n\nresult_format = smtp:[%d]-%u-%S-%U-%D-%%",
    "constant": "query = SELECT a FROM multi WHERE k='%s' ORDER BY n\nresult_format = OK",
    "table": "query = SELECT a FROM multi WHERE k='%s' ORDER BY n\ndomain = {static}",
}
JOINED = {
    "pgsql": {"concat": "query = SELECT concat('%u', '@', '%d'), '%s' || '!' WHERE '%u' IS NOT NULL",
              "dollar": "query = SELECT a FROM multi WHERE k=$$%s$$ ORDER BY n",
              "cast": "query = SELECT a FROM multi WHERE k='%s'::varchar AND n=ANY(ARRAY[1,2,8]) ORDER BY n;"},
    "mysql": {"concat": "query = SELECT CONCAT('%u', '@', '%d'), '%u' '!'",
              "double": "query = SELECT a FROM multi WHERE k=\"%s\" ORDER BY n",
              "escape": "query = SELECT a FROM multi WHERE k LIKE 'under\\_%d' OR k='it\\'s%s' OR k='%s' ORDER BY n",
              "types": "query = SELECT n*1.5, n/3, CAST('2024-02-29' AS DATE), 1.1e0, k='%s' FROM multi WHERE k='%s' ORDER BY n",
              "procedure": "query = CALL lookup('%s')"},
    "sqlite": {"concat": "query = SELECT '%u' || '@' || '%d'"},
}
# The list of keys that the reference set-up was looked at with.
KEYS = ["alice@example.com", "ALICE@Example.com", "@example.com", "alice", "o'brien@example.com", "empty@example.com",
        "null@example.com", "k@example.com", "K@EXAMPLE.com", "k2@example.com", "nobody@example.com", "alice@",
        "a@b@example.com", "a'b@example.com", "a\\b@example.com", "ü@example.com", "percent%@example.com", "%s@example.com",
        "under_score@example.com", "underXscore@example.com", "single@com", "x@", "@", "a@sub.example.org",
        "a@bad.example.org", "a@example.org", "example.com", "com", "x' or '1'='1", "x'; DROP TABLE multi; --@example.com",
        "a@x..com", "a@.com", "a@com.", "number@example.com", '"quoted"@example.com', "a b@example.com", "*", ".com"]


def many_keys(count, seed):
    """Hostile and ordinary keys, the same each time. No key begins with a blank or is empty: postmap -q - has no way."""
    chance = random.Random(seed)
    letters = list("abcxyzABCXYZ0123456789") + list("'\"\\%_;-#$*?`/|&()[]{}<>!~^=+,: ") + ["''", "\\'", "%s", "%%", "--", "/*",
               "*/", "$$", "$1", "ü", "ß", "Ä", "é", "日本", "🙂", "@"]
    domains = ["example.com", "Example.COM", "sub.example.org", "bad.example.org", "example.org", "com", "", "x..com", ".com",
               "com.", "a.b.c.d.e.f.g.h.i.j", "münchen.example", "e'x.com", "exa mple.com"]
    keys = []
    while len(keys) < count:
        local = "".join(chance.choice(letters) for _ in range(chance.choice([0, 1, 2, 3, 5, 8, 13, 40, 400])))
        key = local if chance.random() < 0.1 else f"{local}@{chance.choice(domains)}"
        if chance.random() < 0.15:
            key = chance.choice(KEYS)
        if key and not key.startswith(" "):
            keys.append(key)
    return keys


class TableTest(SystemTest):
    """A Postfix with sql-maps beside it, and tables that both can read."""

    def serve(self, database, more="", **main):
        """self.postfix (not started) and self.daemon, for the tables of one database."""
        self.postfix = Postfix(self.box, main={"proxymap_service_name": "sqlmaps", **main})
        self.database = database
        self.conf = self.box.write("sql-maps.conf", f"""
            proxymap_listen = unix:{self.postfix.private('sqlmaps')}
            stock_proxymap = unix:{self.postfix.private('proxymap')}
            map_directories = {self.postfix.directory}
            postfix_config_directory = {self.postfix.directory}
            query_timeout = 5s
            debug = yes
            {more}
            """.replace("\n            ", "\n"))
        self.postfix.queue.joinpath("private").mkdir(exist_ok=True)
        self.daemon = self.enterContext(Daemon(self.box, "sql-maps", ["-c", self.conf]))

    def table(self, name, text, hosts=None):
        """Writes the .cf file and gives its name as main.cf has it, TYPE:PATH."""
        kind = self.database.driver
        if kind == "sqlite":
            head = f"dbpath = {self.database.path}\n"
        else:
            # Postfix 3.7 speaks LATIN1 to PostgreSQL whatever the file says.
            head = (f"hosts = {hosts or f'inet:127.0.0.1:{self.database.port}'}\nuser = {self.database.user}\n"
                    f"password = {self.database.password}\ndbname = {self.database.database}\n"
                    + ("encoding = LATIN1\n" if kind == "pgsql" else ""))
        text = text.format(list=self.postfix.directory / "domains", static="static:all")
        return f"{kind}:{self.postfix.write(f'{name}.cf', head + text + chr(10))}"

    def ask(self, table, keys):
        """What postmap says to these keys: lines "key TAB value" of those that are found."""
        done = self.postfix.command("postmap", "-q", "-", table, input="".join(f"{key}\n" for key in keys), check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.assertNotIn("fatal", done.stderr, table)
        return done.stdout.splitlines()
