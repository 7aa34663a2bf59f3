# Completion of entrepot for bash. Made by entrepot help completion bash.
_entrepot()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W 'serve check status ls du rm gc pin unpin api help --version --help' -- "$word")
        return
    fi
    case $before in
    --output | -o) mapfile -t COMPREPLY < <(compgen -W 'table json' -- "$word"); return ;;
    --by) mapfile -t COMPREPLY < <(compgen -W 'upstream repository next' -- "$word"); return ;;
    --config | -c | --socket | --from | --data) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    esac
    case ${COMP_WORDS[1]} in
    serve) mapfile -t COMPREPLY < <(compgen -W '--config --listen --admin --data --user --workers --set --help' -- "$word") ;;
    check) mapfile -t COMPREPLY < <(compgen -W '--config --listen --admin --data --user --workers --set --help' -- "$word") ;;
    status) mapfile -t COMPREPLY < <(compgen -W '--config --socket --output --quiet --help' -- "$word") ;;
    ls) mapfile -t COMPREPLY < <(compgen -W '--config --socket --output --quiet --help' -- "$word") ;;
    du) mapfile -t COMPREPLY < <(compgen -W '--by --config --socket --output --quiet --help' -- "$word") ;;
    rm) mapfile -t COMPREPLY < <(compgen -W '--repository --untagged --release --keep-children --dry-run --now --config --socket --output --quiet --help' -- "$word") ;;
    gc) mapfile -t COMPREPLY < <(compgen -W '--dry-run --config --socket --output --quiet --help' -- "$word") ;;
    pin) mapfile -t COMPREPLY < <(compgen -W '--set --from --config --socket --output --quiet --help' -- "$word") ;;
    unpin) mapfile -t COMPREPLY < <(compgen -W '--set --from --config --socket --output --quiet --help' -- "$word") ;;
    api) mapfile -t COMPREPLY < <(compgen -W '--data --config --socket --output --quiet --help' -- "$word") ;;
    help) mapfile -t COMPREPLY < <(compgen -W 'settings example completion man serve check status ls du rm gc pin unpin api help' -- "$word") ;;
    esac
}
complete -F _entrepot entrepot
