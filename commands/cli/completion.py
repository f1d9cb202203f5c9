"""Completion scripts: they ask the very `./mail` that stands on the line, since many programs are called mail."""

from __future__ import annotations

_BASH = """\
_agentmail_completion() {
    local IFS=$'\\n'
    COMPREPLY=($(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _MAIL_COMPLETE=complete_bash "$1"))
}
complete -o default -F _agentmail_completion %(names)s"""

_ZSH = """\
#compdef %(names)s
_agentmail_completion() {
    eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _MAIL_COMPLETE=complete_zsh "${words[1]}")
}
compdef _agentmail_completion %(names)s"""

_FISH = """\
function _agentmail_completion
    env _MAIL_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=$argv[1] _TYPER_COMPLETE_ARGS=(commandline -cp) %(root)s/mail
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
    return SCRIPTS[shell] % {"root": root, "names": f"{remedies.PROGRAM} {root}/mail"}
