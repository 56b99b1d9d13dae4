"""`--format`: a text of the user's with actions in braces (gotemplate), compiled once and filled for each thing.

Each command tells a wrong template in Docker's words and with Docker's status, which differ from command to command;
`TemplateError` has only Go's own part of it.
"""

from pydocker.gotemplate.documents import typed
from pydocker.gotemplate.functions import ALL as FUNCTIONS
from pydocker.gotemplate.functions import to_json
from pydocker.gotemplate.template import Template, compile
from pydocker.gotemplate.values import NO_POINTER, Function, Row, Struct, TemplateError, Value, printed

__all__ = ["FUNCTIONS", "NO_POINTER", "Function", "Row", "Struct", "Template", "TemplateError", "Value", "compile",
           "printed", "to_json", "typed"]
