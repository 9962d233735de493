"""`claimlint completion`, and what its shells offer for rules and files; none of it needs Polars."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
)

SHELLS = ("bash", "zsh", "fish")
# Code, name and family of every rule, a line each: the rules themselves would import Polars. See `claimlint.reference`.
INDEX = Path(__file__).parent / "rules" / "index.txt"


# What click's own classes do not do: --option=value everywhere, and the rest as told.


class _Bash(BashComplete):
    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        return [arg for arg in args if arg != "="], incomplete  # which is a word to bash


class _WithOption(ShellComplete):
    """Of a shell to which --option=value is one word."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        items = super().get_completions(args, incomplete)
        if incomplete.startswith("--") and "=" in incomplete:
            option = incomplete.partition("=")[0]
            for item in items:
                item.value = f"{option}={item.value}"
        return items


class _Zsh(_WithOption, ZshComplete):
    source_template = ZshComplete.source_template.replace(
        # Else the second completion of a session offers nothing: the file is no longer being loaded, nor sourced.
        "$zsh_eval_context[-1] == loadautofunc",
        "$funcstack[1] == _%(prog_name)s",
    ).replace("_path_files -f", "[[ $PREFIX == --*=* ]] && compset -P '*='; _path_files -f")


class _Fish(_WithOption, FishComplete):
    # Else a value, or what is said of it, is cut at its first comma.
    source_template = FishComplete.source_template.replace('string split ","', 'string split -m 1 ","')


for _shell in (_Bash, _Zsh, _Fish):
    add_completion_class(_shell)


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that lets a shell complete commands, options, rules and files.

    \b
    bash: claimlint completion bash > ~/.local/share/bash-completion/completions/claimlint
    zsh:  claimlint completion zsh > FOLDER/_claimlint, with FOLDER in fpath before compinit runs
    fish: claimlint completion fish > ~/.config/fish/completions/claimlint.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    root = click.get_current_context().find_root().command
    click.echo(kind(root, {}, "claimlint", "_CLAIMLINT_COMPLETE").source(), nl=False)


def rules(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Codes and names of claimlint's own rules; for options that take several, families and lists with commas too."""
    before, comma, word = incomplete.rpartition(",") if isinstance(param, click.Option) else ("", "", incomplete)
    known = [line.split() for line in INDEX.read_text(encoding="utf-8").splitlines()]
    told = [(code, name) for code, name, _ in known] + [(name, code) for code, name, _ in known]
    if isinstance(param, click.Option):
        told += [(family, "all of this family") for family in dict.fromkeys(family for *_, family in known)]
    return [
        CompletionItem(f"{before}{comma}{value}", help=about)
        for value, about in told
        if value.lower().startswith(word.lower())
    ]


def paths(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Files and folders, which the shell knows."""
    return [CompletionItem(incomplete, type="file")]
