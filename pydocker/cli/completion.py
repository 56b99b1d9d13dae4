"""`pydocker completion bash|zsh|fish`: the script that makes a shell ask, and `__complete`, which answers it.

    source <(pydocker completion bash)      pydocker completion fish | source      …zsh > DIRECTORY-OF-FPATH/_pydocker

bash hands over the line as it was typed, since it cuts words at `:` and `=`, and wants what is behind the last of
these; the other two hand over words. The last line of an answer is for the script: `files`, `open` (no blank behind),
both, or `-`.
"""

import re

from pydocker.cli.command import ONE, Arity, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.session import Session
from pydocker.cli.visible import visible

_BASH = """\
# bash completion for pydocker
_pydocker() {
    local line mode
    COMPREPLY=()
    while IFS= read -r line; do
        [[ -n $mode ]] && COMPREPLY+=("$mode")
        mode=$line
    done < <("${COMP_WORDS[0]}" __complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
    [[ $mode == *open* ]] && compopt -o nospace
    if [[ $mode == *files* ]]; then
        if (( ${#COMPREPLY[@]} )); then
            COMPREPLY+=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]#[:=]}"))
        else
            compopt -o default  # readline's own, which knows of directories, and quotes
        fi
    fi
}
complete -F _pydocker pydocker
"""

_ZSH = """\
#compdef pydocker
# zsh completion for pydocker
_pydocker() {
    local -a lines options
    lines=("${(@f)$("${words[1]}" __complete zsh "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    local mode=${lines[-1]}
    lines[-1]=()
    [[ $mode == *open* ]] && options=(-S '')
    (( ${#lines} )) && _describe -t pydocker 'pydocker' lines "${options[@]}"
    [[ $mode == *files* ]] && _files
    return 0
}
if [[ ${funcstack[1]} == _pydocker ]]; then _pydocker "$@"; else compdef _pydocker pydocker; fi
"""

_FISH = """\
# fish completion for pydocker
function __pydocker_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines ($words[1] __complete fish $words[2..-1] 2>/dev/null)
    set -l mode $lines[-1]
    set -e lines[-1]
    test (count $lines) -gt 0; and printf '%s\\n' $lines
    string match -q '*files*' -- $mode; and __fish_complete_path (commandline -ct)
end
complete -c pydocker -f -a '(__pydocker_complete)'
"""

_WORD = re.compile(r"""(\s+)|\\(.)|'([^']*)(?:'|$)|"((?:[^"\\]|\\.)*)(?:"|$)|(.)""", re.DOTALL)
_IN_QUOTES = re.compile(r'\\(["\\$`])')
_SCRIPTS = {"bash": _BASH, "fish": _FISH, "zsh": _ZSH}


def script(session: Session, arguments: tuple[str, ...]) -> int:
    """Print it."""
    shell = arguments[0]
    if shell not in _SCRIPTS:
        raise CommandError(f"pydocker completion: no script for {shell}: bash, fish and zsh are known")
    session.write(_SCRIPTS[shell])
    return 0


def complete(session: Session, arguments: tuple[str, ...]) -> int:
    """Answer a shell: a line for each thing that fits, and one for the script."""
    from pydocker.cli import completing

    shell, *words = arguments
    if shell == "bash":
        line, breaks = (*words, "")[:2]
        words = _words(line)[1:] or [""]
    found = completing.found(session, words or [""])
    cut = _broken_off(words[-1], breaks) if shell == "bash" else 0
    for name, about in found.pairs:
        session.say(_shown(shell, visible(name), visible(about).partition("\n")[0], cut))
    session.say(" ".join(word for word, meant in (("files", found.files), ("open", found.open)) if meant) or "-")
    return 0


def _shown(shell: str, name: str, about: str, cut: int) -> str:
    if shell == "bash":
        return name[cut:]
    if shell == "zsh":
        return name.replace(":", r"\:") + (f":{about}" if about else "")
    return f"{name}\t{about}"


def _broken_off(word: str, breaks: str) -> int:
    """How much of `word` bash takes for words of their own."""
    return max((word.rfind(one) + 1 for one in breaks if one in ":="), default=0)


def _words(line: str) -> list[str]:
    """As a shell would cut it, with whatever quote is still open; the last one may be empty."""
    found = [""]
    for blank, escaped, single, double, other in _WORD.findall(line):
        if blank:
            found.append("")
        else:
            found[-1] += escaped or single or _IN_QUOTES.sub(r"\1", double) or other
    return found


COMPLETION = Command(
    "completion", script, synopsis="SHELL", arity=ONE,
    help="Generate the autocompletion script for the specified shell: bash, fish or zsh")
COMPLETE = Command(
    "__complete", lambda session, arguments: complete(session, arguments), synopsis="SHELL [WORD...]",
    arity=Arity(1, None), help="Answer a shell that completes a command line", interspersed=False)
