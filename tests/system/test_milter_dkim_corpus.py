"""opendkim.conf as administrators have published it: each is good, but for what its own author or table has wrong."""

import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

from harness import SystemTest, program

CORPUS = Path(os.environ.get("POSTERN_CORPUS") or "/nonexistent") / "opendkim"
# Templates whose settings all come from elsewhere, and a systemd unit.
NO_CONFIGURATIONS = {"opendkim__Axione_ansible-apps_postfix.conf.j2", "opendkim__galaxyproject_ansible-opendkim.conf.j2",
                     "opendkim-local__keeganquinn_bits.conf"}
# Settings that name a directory, and those that name a file that a package makes.
DIRECTORIES = re.compile(r"^(BaseDirectory|TemporaryDirectory)\s+(\S+)", re.M)
FILES = re.compile(r"^(?:KeyTable|SigningTable|InternalHosts|ExternalIgnoreList|SignHeaders|OversignHeaders|TrustAnchorFile)"
                   r"\s+(?:re)?(?:file:)?(/\S+)", re.M)
# What is said, and of which files; everything else would be wrong. OpenDKIM, given the same files, is content with these, too, but
# for those whose MySQL or user is not on the machine.
NO_SOCKET = "warning: Socket is not set: where is the MTA to connect?"
SAID = {
    "opendkim__Keno_anubis.juliacomputing.io.conf": [NO_SOCKET], "opendkim__bendiscz_mail.conf.dist": [NO_SOCKET],
    "opendkim__privacylabs_ansible-mailstack.conf.j2": [NO_SOCKET],
    "opendkim__Sampistaroy_mail.conf": ["TrustedHosts:4: warning: a pattern that begins with * matches no host here, as in OpenDKIM; "
                                        'write ".assolive.com"'],
    "opendkim__keeganquinn_bits.conf": ["TrustedHosts:4: warning: a pattern that begins with * matches no host here, as in OpenDKIM; "
                                        'write ".qtk.io"', NO_SOCKET],
    # A word that its author left in place of the port.
    "opendkim__pavelkova_arch-linux-virtual-mail-server.conf": [
        '660: Socket: "port@localhost" has no port number from 0 to 65535', NO_SOCKET],
}


@unittest.skipUnless(CORPUS.is_dir(), "POSTERN_CORPUS is not set")
class CorpusTest(SystemTest):
    def setUp(self):
        super().setUp()
        self.root = self.box.directory("root")
        self.key = self.box.path("key")
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", self.key, "2048"], check=True, capture_output=True)

    def rendered(self, text):
        """Placeholders of templates filled, absolute paths below the sandbox."""
        text = re.sub(r"\{\{[^}]*path *\}\}", "/srv", re.sub(r"\{%.*?%\}", "", text))
        text = re.sub(r"\{\{.*?\}\}|<%=.*?%>", "example", text)
        return re.sub(r"(?<![\w/.])/(?=[a-z])", f"{self.root}/", text)

    def table(self, source, name):
        """The table of the same author, or an empty one."""
        author = source.name.split("__")[1].removesuffix(".conf")
        found = next(iter(sorted(CORPUS.glob(f"{name}__{author}*"))), None)
        return self.rendered(found.read_text()) if found else ""

    def make_files(self, source, text):
        for directory in DIRECTORIES.findall(text):
            Path(directory[1]).mkdir(parents=True, exist_ok=True)
        for path in map(Path, FILES.findall(text)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.table(source, path.name))
            if "eytable" in path.name.lower().replace("-", "").replace("_", ""):
                self.make_keys(re.findall(rf"(?:^|[\s:])({self.root}/[^\s:]+)", path.read_text()))
        self.make_keys(re.findall(r"^KeyFile\s+(\S+)", text, re.M))

    def make_keys(self, paths):
        for path in map(Path, paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.key, path)
            path.chmod(0o600)

    def check(self, source):
        text = self.rendered(source.read_text())
        self.make_files(source, text)
        conf = self.box.write("opendkim.conf", text)
        done = self.box.run([program("milter-dkim"), "-n", "-x", conf], check=False)
        shutil.rmtree(self.root)
        self.root.mkdir()
        return done.returncode, [re.sub(r"^milter-dkim: (?:/\S*/)?(?:opendkim\.conf: ?)?", "", line) for line in done.stderr.splitlines()]

    def test_every_configuration_of_the_corpus_is_good(self):
        sources = [path for path in sorted(CORPUS.glob("opendkim*")) if path.name not in NO_CONFIGURATIONS]
        self.assertGreaterEqual(len(sources), 24)
        for source in sources:
            with self.subTest(source.name):
                said = SAID.get(source.name, [])
                is_good = all("warning: " in line for line in said)
                self.assertEqual(self.check(source), (0 if is_good else 78, said))


if __name__ == "__main__":
    unittest.main()
