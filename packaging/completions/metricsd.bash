# shellcheck shell=bash
# Generated from the program's flags by `make golden`; changes made here are lost.
_metricsd() {
    local cur=${COMP_WORDS[COMP_CWORD]}
    case ${COMP_WORDS[COMP_CWORD - 1]} in
        -config | --config) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        -log-level | --log-level) mapfile -t COMPREPLY < <(compgen -W 'debug info warn error' -- "$cur"); return ;;
        -health | --health) COMPREPLY=(); return ;;
        -format | --format) mapfile -t COMPREPLY < <(compgen -W 'prom json' -- "$cur"); return ;;
        -root | --root) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W '-config -log-level -check -once -spool -health -format -root -help -version' -- "$cur")
}
complete -F _metricsd metricsd
