//! Completions for shells, from the table of flags.

use std::fmt::Write as _;
use std::process::Command;

use metricsd::cli;

use crate::support::program::{TempDir, run};

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
        "SCHEME" => Values::Words("native node_exporter otel"),
        "URL" | "SERIES" => Values::Any,
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
        "# shellcheck shell=bash\n{GENERATED}\n_metricsd() {{\n    \
         local cur=${{COMP_WORDS[COMP_CWORD]}} flag=${{COMP_WORDS[COMP_CWORD - 1]}} dash=\n    \
         # bash takes -flag=value for three words.\n    \
         if [[ $cur = '=' ]]; then\n        cur=\n    \
         elif [[ $flag = '=' ]]; then\n        flag=${{COMP_WORDS[COMP_CWORD - 2]}}\n    fi\n    \
         case $flag in\n{cases}    esac\n    \
         if [[ $cur = --* ]]; then dash=-; fi\n    \
         mapfile -t COMPREPLY < <(compgen -P \"$dash\" -W '{}' -- \"${{cur#\"$dash\"}}\")\n}}\ncomplete -F _metricsd metricsd\n",
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

/// What bash would offer for the last of `words`.
fn offered(dir: &TempDir, words: &[&str]) -> String {
    let script = r#"source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _metricsd; echo "${COMPREPLY[*]}""#;
    let completion = super::root().join("packaging/completions/metricsd.bash");
    let mut bash = Command::new("bash");
    let ran =
        run(bash.current_dir(dir.path()).args(["-c", script, "bash"]).arg(completion).arg("metricsd").args(words));
    ran.stdout.trim_end().to_owned()
}

#[test]
fn bash_completes_flags_with_one_dash_or_two_and_values_after_a_space_or_an_equals_sign() {
    if Command::new("bash").arg("--version").output().is_err() {
        return println!("skipped, no bash here");
    }
    let dir = TempDir::new();
    dir.write("file.json", "");
    for (words, completion) in [
        (&["-ch"][..], "-check"),
        (&["--ch"], "--check"),
        (&["--"], &*cli::flags().map(|flag| format!("--{}", flag.name)).collect::<Vec<_>>().join(" ")),
        (&["-config", "fi"], "file.json"),
        (&["-config", "=", "fi"], "file.json"),
        (&["--config", "="], "file.json"),
        (&["-once", "--format", "=", "p"], "prom"),
    ] {
        assert_eq!(offered(&dir, words), completion, "{words:?}");
    }
}
