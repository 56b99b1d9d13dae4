"""msgspec without what it imports for others: it works, and the others are still to be had."""

import subprocess
import sys

from tests.engine import CHECKOUT

HEAD = "import sys; from runtime.cli.lean import STAND_INS, import_msgspec\n"
USE = """
import msgspec, runtime.spec
from runtime.spec.codec import decode, encode
class One(msgspec.Struct):
    at: int = 0
assert msgspec.json.decode(b'{"at": 3}', type=One) == One(3) == msgspec.structs.replace(One(), at=3)
from runtime.cli.verbs import run
assert run(["features"]) == 0
"""


def python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", HEAD + program], cwd=CHECKOUT, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_decodes_and_encodes_and_nothing_else_was_loaded() -> None:
    told = python(f"import_msgspec()\n{USE}\nassert not {{*STAND_INS, 'platform'}} & {{*sys.modules}}, sys.modules")
    assert '"ociVersionMin"' in told


def test_the_real_modules_are_still_there_for_whoever_wants_them() -> None:
    python("""
import_msgspec()
import datetime, decimal, uuid
assert str(uuid.UUID(int=1)) and decimal.Decimal("1.5") * 2 == 3 and datetime.date(2026, 1, 1).year == 2026
import msgspec.inspect
assert msgspec.inspect.type_info(int)
""")


def test_what_was_imported_before_stays() -> None:
    python("import uuid, datetime\nimport_msgspec()\nassert sys.modules['uuid'] is uuid and uuid.UUID(int=1)\n"
           "assert sys.modules['datetime'] is datetime")


def test_a_msgspec_that_looks_for_more_gets_all() -> None:
    python(f"STAND_INS['uuid'] = {{}}\nimport_msgspec()\nassert 'msgspec' not in sys.modules\n{USE}")
