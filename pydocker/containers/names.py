"""Names of containers: what is allowed, and one when the user gives none (an adjective and a computing pioneer)."""

import random
import re

from pydocker.errors import InvalidParameter

_GRAMMAR = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+", re.ASCII)
_LONGEST = 200  # a name is a file name; 255 bytes is the limit of every Linux file system

ADJECTIVES = (
    "agile", "amber", "ample", "apt", "bold", "brave", "breezy", "bright", "brisk", "calm", "candid", "cheerful",
    "clear", "clever", "cosy", "crisp", "curious", "daring", "deft", "eager", "earnest", "easy", "fair", "fine",
    "fleet", "fond", "frank", "fresh", "gentle", "glad", "golden", "grand", "happy", "hardy", "honest", "jolly",
    "keen", "kind", "lively", "loyal", "lucid", "lucky", "mellow", "merry", "mild", "neat", "nimble", "noble",
    "patient", "placid", "plucky", "polite", "proud", "quick", "quiet", "ready", "robust", "serene", "sharp", "silent",
    "smart", "snug", "solid", "sound", "spry", "steady", "stoic", "sunny", "swift", "tidy", "true", "vivid", "warm",
    "wise", "witty", "zesty",
)
PIONEERS = (
    "aho", "aiken", "allen", "atanasoff", "babbage", "bachman", "backus", "bartik", "bell", "boole", "borg", "brooks",
    "bush", "cerf", "chomsky", "church", "clarke", "cocke", "codd", "conway", "cook", "corbato", "cray", "curry",
    "dahl", "dijkstra", "eckert", "edwards", "engelbart", "feinler", "floyd", "goedel", "goldberg", "goldstine", "gray",
    "hamilton", "hamming", "hoare", "holberton", "hollerith", "hopper", "huffman", "iverson", "johnson", "kahan",
    "kahn", "karp", "kay", "kernighan", "kilburn", "kleene", "knuth", "lamarr", "lampson", "leibniz", "licklider",
    "liskov", "lovelace", "mauchly", "mccarthy", "mcilroy", "metcalfe", "milner", "minsky", "moore", "naur", "neumann",
    "newell", "noether", "nygaard", "pascal", "perlis", "perlman", "postel", "rabin", "ritchie", "rivest", "scott",
    "shamir", "shannon", "simon", "stallman", "stearns", "stibitz", "strachey", "sutherland", "tarjan", "thompson",
    "turing", "valiant", "wegner", "wiener", "wilkes", "wilkinson", "wing", "wirth", "yao", "zuse",
)


def check(name: str) -> str:
    """The name without its leading slash. Raises InvalidParameter in Docker's words."""
    if len(name) > _LONGEST:
        raise InvalidParameter(f"Invalid container name ({name[:20]}…), {len(name)} characters are too many: "
                               f"at most {_LONGEST} are allowed")
    if not _GRAMMAR.fullmatch(name):
        raise InvalidParameter(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return name.removeprefix("/")


def invent(attempt: int = 0) -> str:
    """A name that is probably free; after a few taken ones, with a digit behind it."""
    name = f"{random.choice(ADJECTIVES)}_{random.choice(PIONEERS)}"
    return name if attempt < 3 else f"{name}{random.randrange(10)}"
