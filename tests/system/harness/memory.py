"""What is left of a secret in another process's memory."""

import base64
import re

# Longer than what free(3) writes over at the beginning of a text that nobody wiped.
FREED = 16


def traces(secret):
    """Pieces of these octets as they are and in base64, from any place, that only they leave behind."""
    # Base64 comes in threes: without its beginning and end it is found at any place.
    texts = [secret] + [base64.b64encode(secret[shift:])[:-4] for shift in range(3)]
    return [text[FREED:] for text in texts]


def left_of(sent, pid):
    return {text for octets in writable_memory(pid) for text in sent if text in octets}


def writable_memory(pid):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            region = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw.*?(\[v\w+\])?$", line)
            if region and not region[3]:
                begin, end = (int(word, 16) for word in region.groups()[:2])
                if end - begin > 1 << 32:  # a sanitizer's notes about memory, which hold no octets of it
                    continue
                memory.seek(begin)
                yield memory.read(end - begin)
