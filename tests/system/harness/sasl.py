"""The client's side of the SASL mechanisms, for SMTP clients and for Dovecot's auth protocol."""

import base64
import hashlib
import hmac
import re
import secrets

from .smtp import Talk


def answers(mechanism, user, password):
    """A function from the server's challenge (None: there was none yet) to the response, as smtplib's auth() takes it.

    It may give None for the first: the mechanism has no initial response.
    """
    step = {"PLAIN": _plain, "LOGIN": _login, "CRAM-MD5": _cram_md5, "DIGEST-MD5": _digest_md5,
            "SCRAM-SHA-1": _scram, "SCRAM-SHA-256": _scram}[mechanism](mechanism, user, password)
    return lambda challenge=None: step(challenge.decode() if isinstance(challenge, bytes) else challenge)


def _plain(_, user, password):
    return lambda challenge=None: f"\0{user}\0{password}"


def _login(_, user, password):
    words = iter((None, user, password))
    return lambda challenge=None: next(words)


def _cram_md5(_, user, password):
    def step(challenge=None):
        if challenge is not None:
            return f"{user} {hmac.new(password.encode(), challenge.encode(), 'md5').hexdigest()}"
    return step


def _digest_md5(_, user, password):  # RFC 2831
    def step(challenge=None):
        if challenge is None:
            return None
        if challenge.startswith("rspauth="):
            return ""
        nonce, uri, cnonce = re.search(r'nonce="([^"]+)"', challenge)[1], "smtp/mx", secrets.token_hex(8)
        secret = hashlib.md5(f"{user}::{password}".encode()).digest()
        a1 = hashlib.md5(secret + f":{nonce}:{cnonce}".encode()).hexdigest()
        a2 = hashlib.md5(f"AUTHENTICATE:{uri}".encode()).hexdigest()
        response = hashlib.md5(f"{a1}:{nonce}:00000001:{cnonce}:auth:{a2}".encode()).hexdigest()
        return (f'username="{user}",realm="",nonce="{nonce}",nc=00000001,cnonce="{cnonce}",digest-uri="{uri}",'
                f"response={response},qop=auth,charset=utf-8")
    return step


def _scram(mechanism, user, password):  # RFC 5802, without channel binding
    digest = mechanism.removeprefix("SCRAM-").replace("-", "").lower()
    bare = f"n={user},r={secrets.token_hex(12)}"
    wanted = []

    def final(challenge):
        fields = dict(field.split("=", 1) for field in challenge.split(","))
        salted = hashlib.pbkdf2_hmac(digest, password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        client, server = (hmac.digest(salted, name, digest) for name in (b"Client Key", b"Server Key"))
        without = f"c=biws,r={fields['r']}"
        signed = f"{bare},{challenge},{without}".encode()
        signature = hmac.digest(hashlib.new(digest, client).digest(), signed, digest)
        wanted.append("v=" + base64.b64encode(hmac.digest(server, signed, digest)).decode())
        proof = bytes(a ^ b for a, b in zip(client, signature))
        return f"{without},p={base64.b64encode(proof).decode()}"

    def step(challenge=None):
        if not challenge:
            return f"n,,{bare}"
        if not wanted:
            return final(challenge)
        if challenge != wanted[0]:
            raise AssertionError(f"the server has not shown that it knows the password: {challenge}")
        return ""
    return step


def auth_login(address, mechanism, user, password, parameters="service=smtp", version="1.1", talk=None):
    """Log in on an auth socket (Dovecot's client protocol) and give back the last line, OK or FAIL."""
    with talk or Talk(address) as talk:
        talk.lines("DONE")
        step = answers(mechanism, user, password)
        first = step()
        initial = "" if first is None else "\tresp=" + base64.b64encode(first.encode()).decode()
        major, minor = version.split(".")
        talk.send(f"VERSION\t{major}\t{minor}\nCPID\t4242\nAUTH\t1\t{mechanism}\tservice=smtp\t{parameters}{initial}\n")
        while (line := talk.line()).startswith("CONT\t1\t"):
            response = step(base64.b64decode(line.split("\t")[2]))
            talk.send(f"CONT\t1\t{base64.b64encode(response.encode()).decode()}\n")
        return line
