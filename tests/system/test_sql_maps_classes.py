"""What a socketmap's class makes of it: one Postfix with sqlite: tables, one with socketmap: through sql-maps, the same mail."""

import re

from harness import Daemon, Postfix, Sqlite, SystemTest, Talk, wait_until

# table: its class in sql-maps.conf, its parameter in main.cf ({} is the table), and what is in it.
TABLES = {
    "acc": ("access", ("smtpd_recipient_restrictions", "check_recipient_access {}, permit"), {
        "full+ext@acc.example": "551 5.7.1 full+ext", "full@acc.example": "552 5.7.1 full", "acc2.example": "553 5.7.1 domain",
        "spam@": "554 5.7.1 spam at", "tagged+ext@": "555 5.7.1 tagged ext at", "sub.acc3.example": "556 5.7.1 subdomain"}),
    "sl": ("sender_login", ("smtpd_sender_login_maps", "{}"), {
        "owned@sl.example": "somebody", "@sl2.example": "somebody", "localowner": "somebody"}),
    "rd": ("relay_domains", ("relay_domains", "{}"), {
        "relay.example": "x", "deep.relay2.example": "x", "va.example": "x", "acc.example": "x", "acc2.example": "x", "acc3.example": "x",
        "other.example": "x", "tr.example": "x", "tr2.example": "x", "rl.example": "x", "can.example": "x", "can2.example": "x"}),
    "vmd": ("virtual_mailbox_domains", ("virtual_mailbox_domains", "{}"), {"vm.example": "x", "vm2.example": "x"}),
    "vm": ("virtual_mailbox", ("virtual_mailbox_maps", "{}"), {"box@vm.example": "x", "box+own@vm.example": "x", "@vm2.example": "x"}),
    "rl": ("relocated", ("relocated_maps", "{}"), {"moved@rl.example": "new@rl.example", "moved2+ext@rl.example": "new2@rl.example"}),
    "va": ("virtual", ("virtual_alias_maps", "{}"), {
        "one@va.example": "a1@dest.example", "two+ext@va.example": "a2@dest.example, a3@dest.example", "two@va.example": "a4@dest.example",
        "@catch.va.example": "a5@dest.example", "localuser": "a6@dest.example", "@local.example": "a7@dest.example"}),
    "can": ("canonical", ("recipient_canonical_maps", "{}"), {"old@can.example": "fresh@can.example", "@can2.example": "all@can.example"}),
    "scan": ("canonical", ("sender_canonical_maps", "{}"), {"from@can.example": "canonical@can.example", "@can3.example": "three@can.example"}),
    "bcc": ("sender_bcc", ("sender_bcc_maps", "{}"), {"copied@sl.example": "b1@dest.example", "@bcc.example": "b2@dest.example"}),
    "tr": ("transport", ("transport_maps", "{}"), {
        "user@tr.example": "smtp:[127.0.0.1]:1", "user+ext@tr.example": "smtp:[127.0.0.1]:2", "tr.example": "smtp:[127.0.0.1]:3",
        ".tr2.example": "smtp:[127.0.0.1]:4", "*": "smtp:[127.0.0.1]:5"}),
}
SENDERS = ["a@free.example", "Owned@SL.example", "owned+x@sl.example", "x@sl2.example", "x@sub.sl2.example", "localowner@local.example",
           "from@can.example", "From+Ext@Can.example", "x@can3.example", "copied@sl.example", "copied+y@sl.example", "z@bcc.example", ""]
RECIPIENTS = ["full+ext@acc.example", "Full+Other@ACC.example", "full@acc.example", "x@acc2.example", "x@sub.acc2.example", "spam@acc.example",
              "spam+x@acc3.example", "tagged+ext@acc3.example", "x@sub.acc3.example", "x@a.sub.acc3.example", "x@relay.example", "x@sub.relay.example",
              "x@relay2.example", "x@a.deep.relay2.example", "x@unknown.example", "box@vm.example", "Box+Ext@VM.example", "box+own@vm.example",
              "nobody@vm.example", "any@vm2.example", "x@sub.vm2.example", "moved@rl.example", "moved+x@rl.example", "moved2+ext@rl.example",
              "moved2@rl.example", "one@va.example", "One+Ext@Va.example", "two+ext@va.example", "two+other@va.example", "+two@va.example",
              "x@catch.va.example", "x@a.catch.va.example", "localuser@local.example", "localuser+ext@local.example", "other@local.example",
              "old@can.example", "old+ext@can.example", "x@can2.example", "user@tr.example", "user+ext@tr.example", "user+other@tr.example",
              "x@tr.example", "x@sub.tr.example", "x@tr2.example", "x@a.tr2.example", "x@a.b.tr2.example", "owner-list+x@va.example", "x@other.example"]


class ClassesTest(SystemTest):
    def postfix(self, name, kind):
        postfix = Postfix(self.box, name=name, main={
            "mydestination": "local.example", "relay_recipient_maps": "", "local_transport": "smtp:[127.0.0.1]:6", "virtual_transport": "smtp:[127.0.0.1]:7",
            "smtpd_relay_restrictions": "reject_unauth_destination", "smtpd_sender_restrictions": "reject_sender_login_mismatch",
            "minimal_backoff_time": "1h", "maximal_backoff_time": "1h", "smtpd_hard_error_limit": "1000", "smtpd_sasl_auth_enable": "yes",
            "smtpd_soft_error_limit": "1000", "smtpd_junk_command_limit": "1000",
            **{parameter: value.format(kind(table)) for table, (_, (parameter, value), _) in TABLES.items()}})
        return postfix

    def results(self, postfix):
        """One line a message: the replies, and the recipients in the queue with what the transport said."""
        out = {}
        pairs = [(sender, "x@other.example") for sender in SENDERS] + \
            [("a@free.example", recipient) for recipient in RECIPIENTS]
        with Talk(("127.0.0.1", postfix.smtp_port)) as client:
            def say(line):
                client.send(line + "\r\n")
                return client.line()
            client.line()
            say("HELO client.example")
            for sender, recipient in pairs:
                replies = [say(f"MAIL FROM:<{sender}>"), say(f"RCPT TO:<{recipient}>")]
                if replies[1].startswith("2"):
                    say("DATA")
                    replies.append(say("Subject: x\r\n\r\nx\r\n."))
                out[sender, recipient] = " / ".join(replies)
                say("RSET")
        ids = re.findall(r"queued as (\w+)", " ".join(out.values()))
        self.assertGreater(len(ids), 30)

        def tried():
            queue = {message["queue_id"]: message for message in postfix.queued()}
            return queue if set(ids) <= set(queue) and all(
                recipient.get("delay_reason") for message in queue.values() for recipient in message["recipients"]) else None
        queue = wait_until(tried, 60, "every message was tried")

        def told(match):
            message = queue[match[1]]
            return f"{message['sender']} -> " + ", ".join(sorted(f"{r['address']} ({r['delay_reason']})" for r in message["recipients"]))
        # The first attempt at a port tells why it failed, the next may only say that it waits.
        return {pair: re.sub(r"queued as (\w+)", told, replies).replace("delivery temporarily suspended: ", "") for pair, replies in out.items()}

    def test_socketmaps_of_every_class_treat_mail_as_sqlite_tables_do(self):
        quoted = {table: rows for table, (_, _, rows) in TABLES.items()}
        database = Sqlite(self.box, "".join(
            f"CREATE TABLE t_{table} (k TEXT PRIMARY KEY, v TEXT);\n" + "".join(f"INSERT INTO t_{table} VALUES ('{k}', '{v}');\n" for k, v in rows.items())
            for table, rows in quoted.items()))
        port = self.box.port()
        where = self.box.directory("maps")
        for table in TABLES:
            self.box.write(f"maps/{table}.cf", f"dbpath = {database.path}\nquery = SELECT v FROM t_{table} WHERE k = '%s'\n")
        conf = self.box.write("sql-maps.conf", f"socketmap_listen = inet:127.0.0.1:{port}\nmap_directories = {where}\nrecipient_delimiter = +\n"
                              "local_domains = local.example mx.postern.example\n" + "".join(
                                  f"map_{table} = sqlite:{where}/{table}.cf {kind}\n" for table, (kind, _, _) in TABLES.items()))
        self.enterContext(Daemon(self.box, "sql-maps", ["-c", conf]))
        native = self.enterContext(self.postfix("native", lambda table: f"sqlite:{where}/{table}.cf"))
        ours = self.enterContext(self.postfix("ours", lambda table: f"socketmap:inet:127.0.0.1:{port}:{table}"))
        expected, got = self.results(native), self.results(ours)
        self.assertEqual({pair: (expected[pair], got[pair]) for pair in expected if expected[pair] != got[pair]}, {})
        # The test proves something only where the tables were found.
        everything = " ".join(got.values())
        for text in ("551 5.7.1", "552 5.7.1", "553 5.7.1", "554 5.7.1", "555 5.7.1", "556 5.7.1", "not logged in", "Relay access denied",
                     "User unknown", "has moved to", "a1+Ext@dest.example", "a2@dest.example", "a5@dest.example", "a6", "a7", "fresh", "all@can", "canonical",
                     "three@can", "b1@dest", "b2@dest", "]:1: Connection refused", "]:2: Connection refused", "]:3: Connection refused",
                     "]:4: Connection refused", "]:5: Connection refused"):
            self.assertIn(text, everything)


if __name__ == "__main__":
    import unittest
    unittest.main()
