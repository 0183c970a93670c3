"""The manual pages: each can be made, says nothing that mandoc calls an error, and is installed."""

import re
import shutil
import subprocess
import unittest
from pathlib import Path

from harness import SystemTest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(page for page in ROOT.glob("*/**/*.scd") if not page.relative_to(ROOT).parts[0].startswith("build"))


class ManualTest(SystemTest):
    def setUp(self):
        for tool in ("scdoc", "mandoc"):
            if shutil.which(tool) is None:
                self.skipTest(f"{tool} is not installed")

    def test_each_page_is_made_and_has_no_error(self):
        self.assertGreater(len(PAGES), 15)
        for page in PAGES:
            with self.subTest(page.name):
                made = subprocess.run(["scdoc"], input=page.read_bytes(), capture_output=True)
                self.assertEqual((made.returncode, made.stderr), (0, b""))
                read = subprocess.run(["mandoc", "-T", "lint", "-W", "error"], input=made.stdout, capture_output=True)
                self.assertEqual((read.returncode, read.stdout.decode()), (0, ""))
                name, section = page.stem.rsplit(".", 1)
                self.assertRegex(made.stdout.decode(), rf'(?m)^\.TH "{re.escape(name)}" "{section}"')

    def test_each_page_is_installed(self):
        installed = (ROOT / "meson.build").read_text()
        for page in PAGES:
            self.assertIn(f"'{page.relative_to(ROOT).with_suffix('')}'", installed)


if __name__ == "__main__":
    unittest.main()
