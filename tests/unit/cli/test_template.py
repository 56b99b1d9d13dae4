"""Go's templates, without a server. What they print was compared with Docker's client (tests/root/cli/test_format.py);
here is what that cannot show: the two ways of looking at a document, and that nothing at all ends in a traceback."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydocker.cli import template
from pydocker.cli.template import TemplateError
from pydocker.gotemplate.verbs import printf

DOCUMENT = {
    "Id": "0123", "State": {"Running": True, "Pid": 7}, "Config": {"Labels": {"b": "2", "a": "1"}, "Env": None},
    "Mounts": [{"Source": "/a", "RW": False}, {"Source": "/b", "RW": True}], "N": 1.5, "Empty": [], "Null": None,
}


@pytest.mark.parametrize(("text", "out"), [
    ("plain", "plain"), ("{{.State.Pid}}-{{ .State.Running }}", "7-true"), ("{{.State}}", "{true 7}"),
    ("{{.ID}}", "0123"),
    ('{{index .Config.Labels "a"}}|{{index .Config.Labels "x"}}|{{.Config.Labels.x}}', "1||<no value>"),
    ("{{.Config.Labels}} {{.Config.Env}} {{json .Config.Env}}", "map[a:1 b:2] [] null"),
    ("{{range $i, $m := .Mounts}}{{if $i}},{{end}}{{$m.Source}}{{end}}", "/a,/b"),
    ("{{range .Empty}}x{{else}}none{{end}}", "none"), ("{{with .State}}{{.Pid}}{{$.Id}}{{end}}", "70123"),
    ("{{if .State.Health}}h{{else if .State.Running}}r{{end}}", "r"), ('{{.Id | printf "%6s" | len}}', "6"),
    ("a \n{{- .Id -}}\n b", "a0123b"), ("{{/* x */}}y", "y"), ("{{.N}} {{json .N}}", "1.5 1.5"),
    ('{{join (split "a,b" ",") "-"}}', "a-b"), ('{{define "t"}}<{{.}}>{{end}}{{template "t" .Id}}', "<0123>"),
])
def test_documents(text: str, out: str) -> None:
    assert template.compile(text)(template.typed(DOCUMENT)) == out


def test_a_document_without_types_is_strict() -> None:
    """Docker's inspect tries twice; the complaint of the second try is the one that people see."""
    filled = template.compile("a {{ .State.Foo }}")
    with pytest.raises(TemplateError, match=r"can't evaluate field Foo"):
        filled(template.typed(DOCUMENT))
    with pytest.raises(TemplateError, match=r'^template: :1:11: executing "" at <\.State\.Foo>: map has no entry'):
        filled(DOCUMENT, strict=True)


@pytest.mark.parametrize(("text", "reason"), [
    ("{{", "unclosed action"), ("a\n{{nope}}", 'template: :2: function "nope" not defined'),
    ("{{if .A}}", "unexpected EOF"),
    ("{{end}}", "unexpected {{end}}"), ("{{$x}}", 'undefined variable "$x"'), ("{{.A}", "bad character U+007D '}'"),
    ("{{(((}}", "unclosed left paren"), ('{{"a}}', "unterminated quoted string"), ("{{}}", "missing value for command"),
])
def test_what_does_not_parse(text: str, reason: str) -> None:
    with pytest.raises(TemplateError, match=r"^template: :") as caught:
        template.compile(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize("text", [
    "(" * 5000, "{{" + "(" * 5000 + "1" + ")" * 5000 + "}}", '{{define "t"}}{{template "t"}}{{end}}{{template "t"}}',
    "{{if 1}}" * 3000 + "{{end}}" * 3000])
def test_what_is_too_deep_is_an_error_at_worst(text: str) -> None:
    try:
        template.compile(text)(None)
    except TemplateError as error:
        assert "exceeded maximum template depth" in str(error)


WORDS = r"""
    {{ }} {{- -}} . .Id .State.Running .Config.Labels .Mounts .N .Null .Empty .Foo $ $x $i := = , | ( ) "a" `b` 'c' 1
    -2 0x1f 1.5 true nil if else end range with define template block break continue and or not len index slice print
    printf println html js urlquery call eq ne lt le gt ge json join split title lower upper pad truncate "%d" "%v" "%s"
    "%+v" "%#v" "%T" "%[3]*.[2]*[1]f" "%-010q" /* */ ! \ é"""
PIECES = st.sampled_from([*WORDS.split(), " ", "\n", "\t"])


@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=30)
       | st.lists(PIECES, max_size=12).map(lambda pieces: "{{" + " ".join(pieces) + "}}"))
@settings(max_examples=200)
def test_every_template_prints_or_is_wrong(text: str) -> None:
    for value in (template.typed(DOCUMENT), template.Row({"Id": "x", "N": "1"}, "row")):
        try:
            shown = template.compile(text)(value)
        except TemplateError as error:
            assert str(error).startswith("template: ")
        else:
            assert isinstance(shown, str)


VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=5)


@given(st.text("%-+# 0123456789.*[]vTtbcdoOqxXUeEfFgGsp!é", max_size=12),
       st.lists(VALUES | st.lists(VALUES, max_size=2) | st.dictionaries(st.text(max_size=2), VALUES, max_size=2),
                max_size=3))
@settings(max_examples=200)
def test_printf_fills_whatever_it_gets(format: str, values: list[object]) -> None:
    shown = printf(format, *values)
    assert ("%!" in shown) or "%" in format or shown == format


@given(VALUES | st.lists(VALUES) | st.dictionaries(st.text(max_size=3), VALUES))
def test_every_function_takes_or_refuses_every_value(value: object) -> None:
    for name in template.FUNCTIONS:
        for call in (f"{name} .", f"{name} . .", f"{name} . 1", f'{name} "a" .', f"{name} . 1 2", f'. | {name} "%s"'):
            try:
                template.compile(f"{{{{{call}}}}}")(value)
            except TemplateError as error:
                assert str(error).startswith("template: ")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_reads_as_itself(number: float) -> None:
    assert float(template.printed(number)) == number


def test_json_is_gos() -> None:
    """Docker's `json` leaves HTML's characters alone; a row of a list, which Go encodes by itself, has them escaped."""
    assert template.to_json({"b": "<none>", "a": "&\u2028"}) == r'{"a":"&\u2028","b":"<none>"}'
    assert template.to_json(template.Row({"b": "<none>", "a": "&"})) == r'{"a":"\u0026","b":"\u003cnone\u003e"}'
    assert template.to_json([template.Row({"a": "<none>"})]) == r'[{"a":"\u003cnone\u003e"}]'
    assert template.to_json(template.typed({"b": 1, "a": None})) == '{"b":1,"a":null}'
