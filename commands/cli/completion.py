"""Completion scripts: they ask the very `./mail` that stands on the line, since many programs are called mail."""

from __future__ import annotations

import shlex

_BASH = """\
_agentmail_completion() {
    local IFS=$'\\n'
    COMPREPLY=($(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _MAIL_COMPLETE=complete_bash %(program)s))
}
complete -o default -F _agentmail_completion ./mail %(program)s"""

# By a pattern, since zsh makes an absolute path of a relative one; another program of that name is left to others.
_ZSH = """\
_agentmail_completion() {
    [[ ${words[1]:A} == %(program)s ]] || return 1
    _compskip=all
    eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _MAIL_COMPLETE=complete_zsh %(program)s)
}
compdef -p _agentmail_completion '*/mail'"""

_FISH = """\
function _agentmail_completion
    test (path resolve (commandline -opc)[1]) = %(program)s; or return 1
    env _MAIL_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=$argv[1] _TYPER_COMPLETE_ARGS=(commandline -cp) %(program)s
end
complete --command mail --no-files --arguments "(_agentmail_completion get-args)" --condition "_agentmail_completion is-args"\
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def script(shell: str, root: str) -> str:
    """Raises CommandError for a shell that there is no script for."""
    from commands.errors import CommandError
    from mailboxes import remedies

    if shell not in SCRIPTS:
        raise CommandError(
            f"There is no completion for {shell!r}, expected bash, zsh or fish: {remedies.completion('bash')}"
        )
    return SCRIPTS[shell] % {"program": shlex.quote(f"{root}/mail")}
