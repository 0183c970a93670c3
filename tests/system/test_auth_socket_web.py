"""auth-socket and servers on the web: access tokens, the policy server, and penalties shared through Redis."""

import base64
import hmac
import http.server
import imaplib
import json
import secrets
import smtplib
import threading
import time
import urllib.parse
from contextlib import closing

from harness import Daemon, Dovecot, Postfix, SystemTest, Talk, wait_until
from harness.dovecot import WITHOUT_AUTH
from harness.memory import left_of, traces

ANN = "ann@a.example"


class WebServer:
    """An introspection endpoint (POST /introspect) and a policy server (POST /policy) on one port."""

    def __init__(self, port):
        self.tokens = {"good": {"active": True, "email": ANN, "scope": "mail"}, "old": {"active": False},
                       "eve": {"active": True, "email": "eve@a.example"}}
        self.silent = False  # accepts, and never answers
        self.advice = {"status": 0}
        self.told = []  # (command, what the policy server was told)
        self._end = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.silent:
                    outer._end.wait()
                    self.close_connection = True
                    return
                path = urllib.parse.urlsplit(self.path)
                if path.path == "/introspect":
                    token = urllib.parse.parse_qs(body.decode())["token"][0]
                    answer = outer.tokens.get(token, {"active": False})
                else:
                    outer.told.append((urllib.parse.parse_qs(path.query)["command"][0], json.loads(body)))
                    answer = outer.advice
                text = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.url = f"http://127.0.0.1:{port}"
        self._server = Server(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


def base64_text(text):
    return base64.b64encode(text.encode()).decode()


def base64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def xoauth2(token, user=ANN):
    return f"user={user}\x01auth=Bearer {token}\x01\x01"


def oauthbearer(token, user=ANN):
    return f"n,a={user},\x01host=mx.a.example\x01port=587\x01auth=Bearer {token}\x01\x01"


class WebTest(SystemTest):
    def setUp(self):
        super().setUp()
        self.web_port = self.box.port()
        self.web = self.enterContext(WebServer(self.web_port))

    def oauth2(self, more=""):
        return self.box.write("dovecot-oauth2.conf.ext", f"introspection_mode = post\nscope = mail\n"
                              f"introspection_url = {self.web.url}/introspect\ntimeout_msecs = 500\n{more}")

    def daemon(self, text, own="", name="auth-socket"):
        configuration = self.box.write(f"{name}.conf", text)
        return self.enterContext(Daemon(self.box, "auth-socket", ["-c", configuration, "-o", self.box.write(f"{name}.own", own)],
                                        name=name))

    def smtp(self, port):
        return closing(smtplib.SMTP("127.0.0.1", port, timeout=20))


PASSDB = """\
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {oauth2}
}}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={uid} gid={uid} home={home}/%u
}}
"""


class PostfixTest(WebTest):
    MORE = ""

    def setUp(self):
        super().setUp()
        self.postfix = Postfix(self.box, main={"smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "dovecot",
                                               "smtpd_sasl_path": "private/auth",
                                               "smtpd_sasl_security_options": "noanonymous"})
        self.keys = self.box.directory("keys/default/RS256").parent.parent
        self.auth = self.daemon(f"""\
base_dir = {self.box.directory('run')}
auth_mechanisms = plain xoauth2 oauthbearer
auth_failure_delay = 0
{self.MORE.format(web=self.web.url)}
service auth {{
  unix_listener {self.postfix.private('auth')} {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
""" + PASSDB.format(oauth2=self.oauth2(f"local_validation_key_dict = fs:posix:prefix={self.keys}/\n"), uid=65534,
                    home="/nonexistent"))
        self.enterContext(self.postfix)

    def auth_command(self, mechanism, message, answer=""):
        """(code, text) of each reply; answer goes to a challenge, as RFC 7628 wants it."""
        with self.smtp(self.postfix.smtp_port) as client:
            client.ehlo("client.example")
            replies = [client.docmd("AUTH", f"{mechanism} {base64_text(message)}")]
            if replies[0][0] == 334:
                replies.append(client.docmd(answer))
        return [(code, text.decode()) for code, text in replies]


class TokenTest(PostfixTest):
    def test_a_good_token_lets_in_and_a_bad_one_is_told_why(self):
        with self.smtp(self.postfix.smtp_port) as client:
            client.ehlo("client.example")
            self.assertEqual(set(client.esmtp_features["auth"].split()), {"PLAIN", "XOAUTH2", "OAUTHBEARER"})
        self.assertEqual(self.auth_command("XOAUTH2", xoauth2("good"))[0][0], 235)
        self.assertEqual(self.auth_command("OAUTHBEARER", oauthbearer("good"))[0][0], 235)
        refused = self.auth_command("XOAUTH2", xoauth2("old"))
        self.assertEqual(json.loads(base64.b64decode(refused[0][1])), {"status": "401", "schemes": "bearer", "scope": "mail"})
        self.assertEqual(refused[1][0], 535)
        refused = self.auth_command("OAUTHBEARER", oauthbearer("eve"), base64_text("\x01"))
        self.assertEqual(json.loads(base64.b64decode(refused[0][1])), {"status": "invalid_token", "scope": "mail"})
        self.assertEqual(refused[1][0], 535)
        self.assertIn(f"auth: oauth({ANN},127.0.0.1): Invalid credentials: the token is not active", self.auth.log())
        self.postfix.wait_for_log(rf"SASL XOAUTH2 authentication failed: .*sasl_username={ANN}")
        lines = [line for line in self.auth.log().splitlines() if "oauth(" in line]
        log = self.box.write("mail.log", "".join(f"Nov 29 10:00:00 mx dovecot: {line}\n" for line in lines))
        found = self.box.run(["fail2ban-regex", "-o", "ip", log, "/etc/fail2ban/filter.d/dovecot.conf"]).stdout.split()
        self.assertEqual((found, len(lines)), (["127.0.0.1"] * 2, 2), lines)

    def test_an_endpoint_that_is_silent_or_away_is_454_and_holds_up_nobody_else(self):
        self.web.silent = True
        first = []
        waiting = threading.Thread(target=lambda: first.extend(self.auth_command("XOAUTH2", xoauth2("good"))))
        waiting.start()
        self.assertEqual(self.auth_command("PLAIN", f"\0{ANN}\0secret")[0][0], 235)
        waiting.join()
        self.assertEqual(first[0][0], 454)
        self.web.__exit__()
        self.assertEqual(self.auth_command("XOAUTH2", xoauth2("old"))[0][0], 454)
        with WebServer(self.web_port):
            self.assertEqual(self.auth_command("XOAUTH2", xoauth2("good"))[0][0], 235)

    def test_a_token_signed_by_openssl_needs_no_endpoint(self):
        self.web.__exit__()
        key = self.box.path("key.pem")
        self.box.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key])
        public = self.keys / "default/RS256/k1"
        self.box.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public])
        public.chmod(0o644)

        def token(**claims):
            text = ".".join(base64url(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "k1"}, claims))
            self.box.path("text").write_text(text)
            self.box.run(["openssl", "dgst", "-sha256", "-sign", key, "-out", self.box.path("signature"),
                          self.box.path("text")])
            return f"{text}.{base64url(self.box.path('signature').read_bytes())}"
        later = int(time.time()) + 1000
        good = token(email=ANN, exp=later, scope="mail")
        self.assertEqual(self.auth_command("XOAUTH2", xoauth2(good))[0][0], 235)
        for bad in (token(email=ANN, exp=1000, scope="mail"), token(email=ANN, exp=later, scope="other"),
                    token(email="eve@a.example", exp=later, scope="mail"), good[:-8] + "AAAAAAAA"):
            self.assertEqual([code for code, _ in self.auth_command("XOAUTH2", xoauth2(bad))], [334, 535])


class TokenSecretsTest(WebTest):
    """Nothing is left in the daemon's memory of a token that keys verify or refuse, once its login is answered."""

    def setUp(self):
        super().setUp()
        self.secret = secrets.token_bytes(32)
        key = self.box.write("keys/default/HS256/default", base64.b64encode(self.secret).decode(), mode=0o644)
        oauth2 = self.box.write("dovecot-oauth2.conf.ext", "introspection_mode = local\n"
                                f"local_validation_key_dict = fs:posix:prefix={key.parents[2]}/\n")
        self.auth = self.daemon(f"base_dir = {self.box.directory('run')}\nauth_mechanisms = xoauth2 oauthbearer\n"
                                "auth_failure_delay = 0\nauth_debug = yes\n"
                                + PASSDB.format(oauth2=oauth2, uid=65534, home="/nonexistent"), "penalty = no\n")

    def token(self, **claims):
        text = ".".join(base64url(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims))
        return f"{text}.{base64url(hmac.digest(self.secret, text.encode(), 'sha256'))}"

    def test_a_token_is_neither_logged_nor_kept_in_memory(self):
        later = int(time.time()) + 1000
        good, old = self.token(email=ANN, exp=later, nonce=secrets.token_hex(20)), self.token(email=ANN, exp=1000)
        tokens = [good, old, good[:-43] + base64url(secrets.token_bytes(32))]
        # The signature is what makes it a token; its claims are told to others anyway.
        sent = [text for token in tokens for text in traces(token[-43:].encode())]
        with Talk(self.box.path("run/auth-client")) as talk:
            talk.lines("DONE")
            talk.send("VERSION\t1\t1\nCPID\t1\n")
            logins = [(name, message(token)) for token in tokens
                      for name, message in (("XOAUTH2", xoauth2), ("OAUTHBEARER", oauthbearer))]
            answers = []
            for number, (name, message) in enumerate(logins, 1):
                line = talk.send(f"AUTH\t{number}\t{name}\tservice=smtp\tresp={base64_text(message)}\n").line()
                if line.startswith("CONT"):
                    line = talk.send(f"CONT\t{number}\t\n").line()
                answers.append(line.split("\t")[0])
            self.assertEqual(answers, ["OK"] * 2 + ["FAIL"] * 4, self.auth.log())
            wait_until(lambda: not left_of(sent, self.auth.pid), 10, lambda: f"gone: {left_of(sent, self.auth.pid)}")
        for token in tokens:
            self.assertNotIn(token[-43:], self.auth.log())


class PolicyTest(PostfixTest):
    MORE = """\
auth_policy_server_url = {web}/policy
auth_policy_hash_nonce = nonce
auth_policy_server_timeout_msecs = 500
"""

    def login(self, password="secret"):
        return self.auth_command("PLAIN", f"\0{ANN}\0{password}")[0]

    def test_the_policy_server_is_asked_and_told_and_what_it_says_counts(self):
        self.assertEqual(self.login()[0], 235)
        wait_until(lambda: len(self.web.told) == 3, 10, lambda: f"a report: {self.web.told}")
        self.assertEqual([command for command, _ in self.web.told], ["allow", "allow", "report"])
        told = self.web.told[2][1]
        self.assertEqual((told["login"], told["remote"], told["protocol"], told["success"]), (ANN, "127.0.0.1", "smtp", True))
        self.assertRegex(told["pwhash"], "^0[0-9a-f]{3}$")
        self.web.advice = {"status": -1, "msg": "too many guesses"}
        code, text = self.login()
        self.assertEqual(code, 535)
        self.assertIn("too many guesses", text)
        self.assertIn("Authentication failure due to policy server refusal: too many guesses", self.auth.log())

    def test_a_silent_policy_server_costs_one_timeout_and_no_login(self):
        self.web.silent = True
        for _ in range(3):
            self.assertEqual(self.login()[0], 235)
        self.assertEqual(self.auth.log().count("until it answers, logins are let through"), 1)


class DovecotTest(WebTest):
    def test_imap_logins_with_a_token_go_through_auth_socket(self):
        dovecot = self.enterContext(Dovecot(self.box, extra=WITHOUT_AUTH, protocols="imap"))
        listeners = WITHOUT_AUTH[WITHOUT_AUTH.index("service auth"):]
        home = self.box.directory("mail", owner="nobody")
        self.daemon(f"base_dir = {dovecot.run}\nauth_mechanisms = plain xoauth2 oauthbearer\nauth_failure_delay = 0\n{listeners}" +
                    PASSDB.format(oauth2=self.oauth2(), uid="nobody", home=home).replace("gid=nobody", "gid=nogroup"))
        for mechanism, message in (("XOAUTH2", xoauth2), ("OAUTHBEARER", oauthbearer)):
            with imaplib.IMAP4("127.0.0.1", dovecot.imap_port, timeout=20) as client:
                self.assertIn(f"AUTH={mechanism}", client.capabilities)
                client.authenticate(mechanism, lambda _, say=message: say("good").encode())
                self.assertEqual(client.select("INBOX")[0], "OK")
            with imaplib.IMAP4("127.0.0.1", dovecot.imap_port, timeout=20) as client:
                answers = [message("old").encode(), b"\x01"]
                with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
                    client.authenticate(mechanism, lambda _: answers.pop(0))


class RedisTest(WebTest):
    """Two daemons, as on two machines, and a real Redis between them."""

    def redis(self):
        return self.box.start("redis", ["redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "",
                                        "--requirepass", "sesame", "--dir", self.box.directory("redis")])

    def machine(self, name):
        path = self.box.path(f"{name}.sock")
        daemon = self.daemon(f"""\
base_dir = {self.box.directory(name)}
auth_failure_delay = 0
passdb {{
  driver = static
  args = password=secret
}}
service auth {{
  unix_listener {path} {{
    mode = 0666
  }}
}}
""", f"penalty_redis = inet:{self.redis_port}@127.0.0.1\npenalty_redis_password = sesame\nstock_listeners = no\n", name)
        return daemon, str(path)

    def talk(self, path):
        talk = self.enterContext(Talk(path))
        talk.lines("DONE")
        talk.send(b"VERSION\t1\t2\nCPID\t1\n")
        return talk

    def guess(self, talk, address, number):
        talk.send(f"AUTH\t{number}\tPLAIN\tservice=smtp\tno-penalty\trip={address}\tresp=".encode() +
                  base64.b64encode(f"\0u{number}@a.example\0guess{number}".encode()) + b"\n")
        self.assertTrue(talk.line().startswith(f"FAIL\t{number}\t"))

    def is_held_back(self, path, address):
        """A request that waits answers a line of its client's with "Unexpected continuation"."""
        with Talk(path) as talk:
            talk.lines("DONE")
            talk.send(f"VERSION\t1\t2\nCPID\t1\nAUTH\t1\tPLAIN\tservice=smtp\trip={address}\nCONT\t1\t=\n".encode())
            return "Unexpected continuation" in talk.line()

    def test_guesses_at_one_machine_slow_down_the_other_and_without_redis_each_goes_on(self):
        self.redis_port = self.box.port()
        redis = self.redis()
        one, one_path = self.machine("one")
        two, two_path = self.machine("two")
        guessing = self.talk(one_path)
        self.assertFalse(self.is_held_back(two_path, "192.0.2.1"))
        for number in range(1, 7):
            self.guess(guessing, "192.0.2.1", number)
        wait_until(lambda: self.is_held_back(two_path, "192.0.2.1"), 10, "the other machine knows")
        self.assertFalse(self.is_held_back(two_path, "192.0.2.77"))
        redis.stop()
        for daemon in (one, two):
            wait_until(lambda d=daemon: "this machine goes on with its own" in d.log(), 10, daemon.log)
        for number in range(11, 17):
            self.guess(guessing, "192.0.2.2", number)
        self.assertTrue(self.is_held_back(one_path, "192.0.2.2"))
        self.assertFalse(self.is_held_back(two_path, "192.0.2.2"))
        self.redis()
        wait_until(lambda: self.is_held_back(two_path, "192.0.2.2"), 20, lambda: one.log() + two.log())
        wait_until(lambda: "Redis answers again" in two.log(), 10, two.log)
        self.assertEqual(two.log().count("this machine goes on with its own"), 1)


if __name__ == "__main__":
    import unittest
    unittest.main()
