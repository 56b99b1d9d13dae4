"""Go's text/template, as `--format` of Docker's commands is written in: a text with actions in braces.

    {{.Names}}   {{json .Config}}   {{range $i, $m := .Mounts}}{{$i}}: {{$m.Source}}{{else}}none{{end}}

    lexer       text -> tokens                    parser     tokens -> a tree (nodes), or what is wrong with them
    evaluator   a tree and a value -> text        functions  what a pipeline may call: Go's own, and Docker's
    values      what JSON's values are in Go: how they print, compare, count as true
    verbs       printf                            documents  the engine's documents, as Docker's client types them
    template    all of it together

All of it is pure. A template knows nothing of the engine; a value is what JSON has (None, bool, int, float, str, list,
dict), and three kinds more that `values` defines. Errors are Go's, place and all:

    template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"

Source: https://pkg.go.dev/text/template, https://pkg.go.dev/fmt; docker/cli, templates/templates.go.
"""
