# shellcheck shell=bash
# Generated from the program's flags by `make golden`; changes made here are lost.
_metricsd() {
    local cur=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} dash=
    # bash takes -flag=value for three words.
    if [[ $cur = '=' ]]; then
        cur=
    elif [[ $flag = '=' ]]; then
        flag=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $flag in
        -config | --config) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        -log-level | --log-level) mapfile -t COMPREPLY < <(compgen -W 'debug info warn error' -- "$cur"); return ;;
        -explain | --explain) COMPREPLY=(); return ;;
        -health | --health) COMPREPLY=(); return ;;
        -format | --format) mapfile -t COMPREPLY < <(compgen -W 'prom json' -- "$cur"); return ;;
        -naming | --naming) mapfile -t COMPREPLY < <(compgen -W 'native node_exporter otel' -- "$cur"); return ;;
        -root | --root) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    esac
    if [[ $cur = --* ]]; then dash=-; fi
    mapfile -t COMPREPLY < <(compgen -P "$dash" -W '-config -log-level -check -once -list -explain -spool -health -format -naming -root -help -version' -- "${cur#"$dash"}")
}
complete -F _metricsd metricsd
