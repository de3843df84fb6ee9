//! Completions for shells, from the table of flags.

use std::fmt::Write as _;

use metricsd::cli;

const GENERATED: &str = "# Generated from the program's flags by `make golden`; changes made here are lost.";

/// What a flag's value may be.
enum Values {
    Files,
    Directories,
    /// One of these.
    Words(&'static str),
    /// Nothing that a shell could know.
    Any,
}

/// By what the value is called in the help.
fn values(name: &str) -> Values {
    match name {
        "FILE" => Values::Files,
        "DIR" => Values::Directories,
        "LEVEL" => Values::Words("debug info warn error"),
        "FORMAT" => Values::Words("prom json"),
        "URL" => Values::Any,
        new => panic!("{new}: say in tests/it/docs/completions.rs what completes it"),
    }
}

pub fn bash() -> String {
    let mut cases = String::new();
    for (name, value) in cli::flags().filter_map(|flag| Some((flag.name, flag.value?))) {
        let replies = match values(value) {
            Values::Files => "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")".to_owned(),
            Values::Directories => "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")".to_owned(),
            Values::Words(words) => format!("mapfile -t COMPREPLY < <(compgen -W '{words}' -- \"$cur\")"),
            Values::Any => "COMPREPLY=()".to_owned(),
        };
        // Writing to a String does not fail, here and below.
        let _ = writeln!(cases, "        -{name} | --{name}) {replies}; return ;;");
    }
    let flags: Vec<String> = cli::flags().map(|flag| format!("-{}", flag.name)).collect();
    format!(
        "# shellcheck shell=bash\n{GENERATED}\n_metricsd() {{\n    local cur=${{COMP_WORDS[COMP_CWORD]}}\n    \
         case ${{COMP_WORDS[COMP_CWORD - 1]}} in\n{cases}    esac\n    \
         mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$cur\")\n}}\ncomplete -F _metricsd metricsd\n",
        flags.join(" ")
    )
}

pub fn zsh() -> String {
    let mut lines = vec!["_arguments".to_owned()];
    for flag in cli::flags() {
        // These end a part of a specification, and the quotes all of it.
        let meaning = flag.meaning.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]").replace('\'', "'\\''");
        let action = flag.value.map(|value| match values(value) {
            Values::Files => format!(":{value}:_files"),
            Values::Directories => format!(":{value}:_files -/"),
            Values::Words(words) => format!(":{value}:({words})"),
            Values::Any => format!(":{value}: "),
        });
        lines.push(format!("'-{}[{meaning}]{}'", flag.name, action.unwrap_or_default()));
    }
    format!("#compdef metricsd\n{GENERATED}\n{}\n", lines.join(" \\\n    "))
}

pub fn fish() -> String {
    let mut text = format!("{GENERATED}\ncomplete -c metricsd -f\n");
    for flag in cli::flags() {
        let meaning = flag.meaning.replace('\\', "\\\\").replace('\'', "\\'");
        let value = match flag.value.map(values) {
            None => "",
            Some(Values::Files) => " -r -F",
            Some(Values::Directories) => " -x -a '(__fish_complete_directories)'",
            Some(Values::Words(words)) => &format!(" -x -a '{words}'"),
            Some(Values::Any) => " -x",
        };
        let _ = writeln!(text, "complete -c metricsd -o {}{value} -d '{meaning}'", flag.name);
    }
    text
}
