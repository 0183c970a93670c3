"""%variables: what Dovecot 2.3 makes of each, name by name, and what auth-socket makes of it from the same file."""

import base64
import os

from harness import Daemon, Dovecot, SystemTest, Talk

NAMES = """
user username domain domain_first domain_last service home lip local_ip rip remote_ip password mech mechanism secured lport
local_port rport remote_port cert real_lip real_local_ip real_rip real_remote_ip real_lport real_rport real_local_port
real_remote_port local_name session session_pid client_id login_user login_username login_domain master_user auth_user
auth_username auth_domain orig_user orig_username orig_domain original_user original_username original_domain hostname
passdb:none passdb:none:dflt userdb:none:dflt env:NOBODY_SETS_THIS
sha1:user md5:user md4:user sha256:user sha384:user sha512:user sha1;rounds=2:user sha1;rounds=2,salt=ab:user
sha256;truncate=32:user sha256;truncate=7:user sha256;truncate=12:user md5;truncate=8:user md5;format=base64:user
md5;format=hex:user md5:userdb:none
if;%u;eq;x;a;b if;%u;ne;x;a;b if;%Lu;eq;test@example.com;yes;no if;3;>;2;a;b if;3;<;2;a;b if;3;==;3;a;b if;3;!=;3;a;b
if;3;<=;3;a;b if;3;>=;4;a;b if;a;lt;b;a;b if;a;le;a;a;b if;a;gt;b;a;b if;a;ge;b;a;b if;%u;*;*.com;a;b if;%u;!*;*.com;a;b
if;%u;*;TEST*;a;b if;%u;~;^t.*m$;a;b if;%u;!~;^t.*m$;a;b if;%{if;%u;eq;x;a;b};eq;b;in;%Uu if;a;eq;a;\\;x;b
if;a;eq;a;\\:x;b if;a;eq;a;x:y;b if;a;eq;a;x if;;eq;;a;b if;%u;eq;%{user};%{domain};b if;%s;eq;imap;i;o
""".split()

LETTERS = "u n d s l r w m c a b k h".split()

# In front of a letter or of "{user}".
MODIFIED = """
%Lu %Uu %Eu %Xa %Xu %Ru %Nu %Hu %Mu %Du %Dd %Tu %256Nu %2.256Nu %4.256Nu %256Hu %2.256Hu %3RHu %8Mu %1u %1.1u %2.2u %-2u
%-2.2u %-3.1u %20.2u %-99.2u %04n %2.04n %020n %0.-2u %-0.2u %.2u %2.u %LUu %ULu %RUn %NLu %UMu %L{user} %1.2L{user}
%.5{user} %0.3n %1000u %U{md5:user} %4{md5:user} %U{if;a;eq;a;x;b} %% %%u %%%u a%ub
""".split()

TEMPLATES = [f"%{letter}" for letter in LETTERS] + [f"%{{{name}}}" for name in NAMES] + MODIFIED

ECHO = """\
passdb {{
  driver = static
  args = password=secret {passdb}
}}
userdb {{
  driver = passwd-file
  args = {users}
  override_fields = {userdb}
}}
"""

CLIENT = ("service=imap\tlip=127.0.0.1\trip=192.0.2.7\tlport=143\trport=4321\tsession=SESS\treal_rip=192.0.2.9\t"
          "real_lip=127.0.0.9\treal_lport=99\treal_rport=88\tlocal_name=sni.example\tclient_id=cid")
RESPONSE = base64.b64encode(b"\0Test@Example.com\0secret").decode()
OWN = "syslog = no\nstock_listeners = yes\n"


class VariablesTest(SystemTest):
    def setUp(self):
        super().setUp()
        # An extra field of a passwd-file is a template, too.
        users = self.box.write("users", "test@example.com::65534:65534::/h/test::userdb_extra=%Un-%{rip}\n", mode=0o644)

        def fields(letter):
            return " ".join(f"{letter}{number}=[{text}]" for number, text in enumerate(TEMPLATES))

        self.extra = ECHO.format(passdb=fields("p"), userdb=fields("u"), users=users)

    def answers(self, run):
        """What a login and a lookup are told, by template."""
        login = Talk(f"{run}/auth-client")
        login.send(f"VERSION\t1\t1\nCPID\t77\nAUTH\t1\tPLAIN\t{CLIENT}\tsecured\tno-penalty\t"
                   f"resp={RESPONSE}\n")
        lookup = Talk(f"{run}/auth-userdb")
        lookup.send(f"VERSION\t1\t1\nUSER\t1\tTest@Example.com\t{CLIENT}\n")
        found = {}
        for talk, letter, word in ((login, "p", "OK"), (lookup, "u", "USER")):
            line = talk.line()
            while not line.startswith((word, "FAIL", "NOTFOUND")):
                line = talk.line()
            self.assertEqual(line.split("\t")[0], word, line)
            told = dict(pair.partition("=")[::2] for pair in line.split("\t")[2:])
            found |= {(letter, text): told[f"{letter}{number}"] for number, text in enumerate(TEMPLATES)}
            found |= {name: told[name] for name in ("extra", "home") if name in told}
        return found

    def test_every_documented_variable_and_modifier_has_dovecots_value(self):
        with Dovecot(self.box, extra=self.extra) as dovecot:
            theirs = self.answers(dovecot.run)
        # The same file; what is not about auth is passed over.
        own = self.box.write("own.conf", OWN)
        os.chmod(dovecot.configuration, 0o644)
        with Daemon(self.box, "auth-socket", ["-c", dovecot.configuration, "-o", own]):
            ours = self.answers(dovecot.run)
        self.assertEqual(theirs["extra"], "TEST-192.0.2.7")
        self.assertEqual({name: (value, theirs[name]) for name, value in ours.items() if value != theirs[name]}, {})
        self.assertEqual(len(ours), len(theirs))


if __name__ == "__main__":
    import unittest
    unittest.main()
