"""What the demo plays: each step is a function that gives back (answered, landed, proof) or raises AssertionError."""

import email
import itertools
import re

import dkim

from harness import swaks, wait_until

OUTSIDE = "127.0.0.2"  # the partner's address, where the world comes from


class Scenario:
    def __init__(self, world):
        self.world = world
        self._subjects = (f"demo mail {number}" for number in itertools.count(1))

    def steps(self):
        """(what is sent, function) in their order."""
        return [
            ("ann to bob@partner.example, AUTH PLAIN", self.submission),
            ("carl logs in, AUTH LOGIN", self.login),
            ("ann with a wrong password", self.wrong_password),
            ("bob@partner.example to ann, signed", self.incoming),
            ("From: pay@bank.example (p=reject), forged", self.forged_from),
            ("MAIL FROM:<pay@bank.example> from 127.0.0.2", self.spf_fail),
            ("bob to info@postern.example, an alias", self.alias),
            ("bob to anything@shop.example, a catch-all", self.catch_all),
            ("bob to ann@post.example, an alias domain", self.alias_domain),
            ("bob to nobody@postern.example", self.unknown_recipient),
            ("bob to ann+lists@postern.example", self.detail),
            ("bob to full@postern.example, 40 kB", self.full_mailbox),
            ("bob to ann while the database is away", self.database_away),
            ("the same mail, the database is back", self.database_back),
        ]

    # Ways in

    def _submit(self, to, **options):
        """A client of ours at the submission port."""
        self.subject = next(self._subjects)
        return swaks(self.world.mx.ports["submission"], sender="ann@postern.example", to=to,
                     headers=[f"Subject: {self.subject}"], helo="laptop.example", **options)

    def _from_partner(self, to, **options):
        """Bob hands it to his own server, which signs it and sends it to ours."""
        self.subject = next(self._subjects)
        sent = swaks(self.world.partner.smtp_port, sender="bob@partner.example", to=to,
                     headers=[f"Subject: {self.subject}"], **options)
        expect(sent.code == 0, f"mail.partner.example did not take it:\n{sent}")
        return sent

    def _delivered_by_partner(self, to, **options):
        """The answer of ours that the partner logged."""
        sent = self._from_partner(to, **options)
        line = self.world.partner.wait_for_log(rf"{sent.queue_id}: to=<{re.escape(to)}>.* status=(\w+) \((.*)\)")
        expect(line[1] == "sent", f"status={line[1]}: {line[2]}")
        return _short(line[2])

    def _direct(self, sender, to, *words, headers=()):
        """Straight from the outside to our port 25."""
        return swaks(self.world.mx.smtp_port, *words, sender=sender, to=to, headers=headers, local=OUTSIDE,
                     helo="mail.partner.example")

    # What landed

    def _seen(self, user, mailbox="INBOX"):
        """The message of this step, over IMAP."""
        return email.message_from_bytes(self._raw(lambda: self.world.messages(user, mailbox)))

    def _raw(self, messages):
        def find():
            try:
                return [text for text in messages() if f"Subject: {self.subject}".encode() in text]
            except AssertionError:  # the folder is not there yet
                return []
        [found] = wait_until(find, 30, f"a message with Subject: {self.subject}", every=0.2)
        return found

    # The steps

    def submission(self):
        world = self.world
        sent = self._submit("bob@partner.example", user="ann@postern.example", password=world.password)
        expect(sent.code == 0, str(sent))
        raw = self._raw(world.partner_messages)
        message = email.message_from_bytes(raw)
        proof = _verdicts(message, "mail.partner.example", "postern.example")
        expect(dkim.verify(raw, dnsfunc=world.dkim_record), f"python3-dkim does not verify it:\n{raw.decode()}")
        return _short(sent.reply_to(".")), "bob's Maildir at mail.partner.example", f"{proof}; python3-dkim verifies it"

    def login(self):
        done = swaks(self.world.mx.ports["submission"], "--quit-after", "AUTH", user="carl@postern.example",
                     password=self.world.password, mechanism="LOGIN")
        answer = done.steps[-2][1:]
        expect(answer[0] == 235, str(done))
        return _short(answer), "logged in", "SHA512-CRYPT password from SQL"

    def wrong_password(self):
        done = swaks(self.world.mx.ports["submission"], "--quit-after", "AUTH", user="ann@postern.example",
                     password="wrong")
        answer = done.steps[-2][1:]
        expect(answer[0] == 535, str(done))
        return _short(answer), "not let in", f"log: {_logged(self.world.mx, 'sasl_username=')}"

    def incoming(self):
        answer = self._delivered_by_partner("ann@postern.example")
        message = self._seen("ann")
        return answer, "ann's INBOX, over IMAP", _verdicts(message, "mx.postern.example", "partner.example")

    def forged_from(self):
        done = self._direct("mallory@partner.example", "ann@postern.example",
                            headers=["From: pay@bank.example", "Subject: your account"])
        code, text = done.reply_to(".")
        expect(code == 550 and "5.7.1" in text, str(done))
        return _short((code, text)), "nowhere", "DMARC: spf and dkim are not aligned with bank.example"

    def spf_fail(self):
        done = self._direct("pay@bank.example", "ann@postern.example")
        code, text = done.reply_to("RCPT")
        expect(code == 550 and "5.7.23" in text, str(done))
        return _short((code, text)), "nowhere", 'SPF of bank.example: "v=spf1 ip4:192.0.2.1 -all"'

    def alias(self):
        answer = self._delivered_by_partner("info@postern.example")
        ann, carl = self._seen("ann"), self._seen("carl")
        expect(ann["Message-Id"] == carl["Message-Id"], "two different messages")
        return answer, "ann's and carl's INBOX", f"Message-Id: {ann['Message-Id']} in both"

    def catch_all(self):
        answer = self._delivered_by_partner("anything@shop.example")
        return answer, "carl's INBOX", f"Delivered-To: {self._seen('carl')['Delivered-To']}"

    def alias_domain(self):
        answer = self._delivered_by_partner("ann@post.example")
        return answer, "ann's INBOX", f"Delivered-To: {self._seen('ann')['Delivered-To']}"

    def unknown_recipient(self):
        done = self._direct("bob@partner.example", "nobody@postern.example")
        code, text = done.reply_to("RCPT")
        expect(code == 550 and text.startswith("5.1.1"), str(done))
        return _short((code, text)), "nowhere", "virtual_mailbox_maps has no such row"

    def detail(self):
        answer = self._delivered_by_partner("ann+lists@postern.example")
        message = self._seen("ann", "lists")
        return answer, "ann's folder lists", f"Delivered-To: {message['Delivered-To']}"

    def full_mailbox(self):
        answer = self._delivered_by_partner("full@postern.example", body="x" * 60 * 700)
        self.subject = "Undelivered Mail Returned to Sender"
        bounce = self._raw(self.world.partner_messages).decode()
        refusal = re.search(r"552 5\.2\.2 [^\n]*", bounce)
        expect(refusal, f"the bounce does not tell 552 5.2.2:\n{bounce}")
        expect(self.world.messages("full") == [], "something landed in the full mailbox")
        return answer, "a bounce in bob's Maildir", f"in the bounce: {refusal[0][:60]}"

    def database_away(self):
        world = self.world
        with world.database.away():
            done = self._direct("bob@partner.example", "ann@postern.example")
            code, text = done.reply_to("RCPT")
            expect(code == 451, str(done))
            login = swaks(world.mx.ports["submission"], "--quit-after", "AUTH", user="ann@postern.example",
                          password=world.password)
            refusal = login.steps[-2][1:]
            expect(refusal[0] == 454, str(login))
            self.waiting = self._from_partner("ann@postern.example")
            world.partner.wait_for_log(rf"{self.waiting.queue_id}: .* status=deferred \(.* 451 ")
        bounced = [line for host in (world.mx, world.partner) for line in host.log().splitlines()
                   if "status=bounced" in line and self.waiting.queue_id in line]
        expect(not bounced, f"bounced: {bounced}")
        return _short((code, text)), "the partner's queue, nothing bounced", f"login meanwhile: {_short(refusal)}"

    def database_back(self):
        since = len(self.world.partner.log())
        self.world.partner.flush()
        line = self.world.partner.wait_for_log(rf"{self.waiting.queue_id}: to=<ann@.* status=sent \((.*)\)", since=since,
                                               seconds=60)
        self._seen("ann")
        return _short(line[1]), "ann's INBOX", f"queue of the partner: {len(self.world.partner.queued())} messages"


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def _short(answer):
    """An SMTP answer, from swaks' (code, text) or Postfix's log, without what only repeats the question."""
    text = answer if isinstance(answer, str) else f"{answer[0]} {answer[1]}"
    text = re.sub(r"^.* said: ", "", text).splitlines()[-1]
    text = re.sub(r"( Error:|: queued as \w+|<[^>]*>: |Recipient address rejected: |: \(reason unavailable\))", "", text)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _logged(postfix, words):
    return postfix.wait_for_log(rf"warning: [^\n]*({words}[^\n]*)")[1][:60]


def _verdicts(message, authserv_id, domain):
    """What the receiver's own headers say; AssertionError unless all of DKIM, SPF and DMARC passed for the domain."""
    own = " ".join(" ".join(value.split()) for value in message.get_all("Authentication-Results", [])
                   if value.split(";")[0].strip() == authserv_id)
    spf = message.get("Received-SPF", "")
    shown = f"the headers are\n{message.as_string()[:6000]}"
    expect(re.search(rf"\bdkim=pass\b.*header\.d={re.escape(domain)}", own), f"no dkim=pass for {domain}; {shown}")
    expect(re.search(rf"\bdmarc=pass\b.*header\.from={re.escape(domain)}", own), f"no dmarc=pass for {domain}; {shown}")
    expect(spf.lower().startswith("pass"), f"no Received-SPF: pass; {shown}")
    return f"dkim=pass ({domain}), Received-SPF: {spf.split()[0]}, dmarc=pass"
