"""How the demo's steps look: one line each, in columns, coloured on a terminal, folded where that is narrow."""

import os
import shutil
import sys
import time

WIDTHS = (43, 40, 36)  # sent, answered, landed; the proof takes the rest
TITLES = ("sent", "answered", "landed", "proven by")


class Report:
    def __init__(self, out=sys.stdout):
        self.out = out
        self.live = out.isatty()
        self.coloured = self.live and "NO_COLOR" not in os.environ
        self.wide = shutil.get_terminal_size((160, 24)).columns >= 150
        self.count = self.failures = 0
        self._began = time.monotonic()

    def title(self, text):
        self._print(self._colour("1", text))

    def columns(self):
        if self.wide:
            self._print(self._colour("2", "  #      " + self._row(TITLES)))

    def waiting(self, text):
        """What is being done now; the next line takes its place."""
        if self.live:
            self.out.write(f"\r\033[K{self._colour('2', text)}")
            self.out.flush()

    def step(self, sent, function):
        """Run one step. It gives back (answered, landed, proof) or raises."""
        self.count += 1
        self.waiting(f"{self.count:3}      {sent}")
        try:
            answered, landed, proof = function()
        except Exception as error:  # whatever it is, the next steps are of interest too
            self.failures += 1
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            self._print(f"{self.count:3} {self._colour('31;1', 'FAIL')} {sent}\n{_indented(kind + str(error))}")
            return
        number = f"{self.count:3} {self._colour('32', 'ok')}   "
        cells = (sent, answered, landed, proof)
        if self.wide:
            self._print(number + self._row(cells))
        else:
            self._print(f"{number}{sent} -> {answered}\n{_indented(f'{landed}; {proof}')}")

    def closing(self):
        took = time.monotonic() - self._began
        good = self.count - self.failures
        text = f"{good} of {self.count} steps are as they must be ({took:.0f} s)"
        self._print(self._colour("31;1" if self.failures else "32;1", text))

    def note(self, text):
        self._print(text)

    def _row(self, cells):
        padded = [f"{cell:{width}}" for cell, width in zip(cells, WIDTHS)]
        return "  ".join([*padded, cells[-1]]).rstrip()

    def _print(self, text):
        if self.live:
            self.out.write("\r\033[K")
        print(text, file=self.out, flush=True)

    def _colour(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.coloured else text


def _indented(text):
    return "\n".join(f"         {line}" for line in text.splitlines())
