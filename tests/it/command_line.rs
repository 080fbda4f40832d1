//! Completions and man page: written from the program's table of commands, and tried as their users do.
//!
//! With `BLESS=1` the files are written.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use aliyun_acr_credential_provider::app::commands::{
    COMMANDS, Choice, HELP, NOTES, SUMMARY, VERSION,
};
use clap::{Arg, ArgAction};
use clap_complete::Shell;
use roff::{Roff, bold, italic, roman};

use crate::{PROGRAM, TESTS};

const NAME: &str = "aliyun-acr-credential-provider";
const BASH: &str = "release/completions/aliyun-acr-credential-provider.bash";
const ZSH: &str = "release/completions/_aliyun-acr-credential-provider";
const FISH: &str = "release/completions/aliyun-acr-credential-provider.fish";
const MAN: &str = "release/aliyun-acr-credential-provider.1";

fn path(name: &str) -> PathBuf {
    PathBuf::from(format!("{TESTS}/../{name}"))
}

/// Holds a file against what the table gives.
fn held(name: &str, text: &str) {
    let path = path(name);
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let shown = fs::read_to_string(&path).unwrap_or_default();
    assert!(shown == text, "{name} is not what the table of commands gives; BLESS=1 writes it");
}

fn argument(choice: &Choice) -> Arg {
    let action = match (choice.value, choice.may_repeat) {
        (None, _) => ArgAction::SetTrue,
        (Some(_), true) => ArgAction::Append,
        (Some(_), false) => ArgAction::Set,
    };
    let hint = match choice.value {
        Some("FILE") => clap::ValueHint::FilePath,
        Some("DIR") => clap::ValueHint::DirPath,
        _ => clap::ValueHint::Other,
    };
    let argument = Arg::new(choice.name).long(choice.name).help(choice.text).action(action);
    if choice.value.is_some() { argument.value_hint(hint) } else { argument }
}

/// The first sentence says what a command is for.
fn first_sentence(text: &str) -> String {
    let text = text.replace('\n', " ");
    text.split_inclusive(". ").next().unwrap().trim().to_owned()
}

/// The program's table in the form from which completions are made.
fn clap() -> clap::Command {
    let globals = [argument(&HELP), argument(&VERSION)];
    let bare = |name: &'static str| {
        clap::Command::new(name).disable_help_subcommand(true).disable_help_flag(true)
    };
    let mut all = bare(NAME).about(SUMMARY).args(globals);
    for command in &COMMANDS {
        let of = |name| {
            let about = first_sentence(command.text);
            bare(name).about(about).args(command.options.iter().map(argument)).arg(argument(&HELP))
        };
        all = match command.words {
            [] => all.args(command.options.iter().map(argument)),
            [one] => all.subcommand(of(one)),
            [group, one] => {
                if all.find_subcommand(group).is_none() {
                    let about = if *group == "render" {
                        "Writes a file for others"
                    } else {
                        "Changes a node's files"
                    };
                    all = all.subcommand(bare(group).about(about));
                }
                all.mut_subcommand(group, |group| group.subcommand(of(one)))
            }
            more => panic!("{more:?}"),
        };
    }
    all
}

fn completions(shell: Shell) -> String {
    // clap_complete 4.6.12 gives bash two spellings of a name with hyphens: the branches of
    // subcommands are then never reached.
    let name = if shell == Shell::Bash { NAME.replace('-', "_") } else { NAME.to_owned() };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut clap(), name.as_str(), &mut text);
    let text = String::from_utf8(text).unwrap();
    text.replace(&format!(" {name}\n"), &format!(" {NAME}\n"))
}

/// mdoc would be read by mandoc alone; man's macros are read everywhere.
fn man_page() -> String {
    let mut page = Roff::default();
    page.control("TH", [NAME.to_uppercase().as_str(), "1"]);
    page.control("SH", ["NAME"]);
    page.text([roman(format!("{NAME} - {}", SUMMARY.trim_end_matches('.')))]);
    page.control("SH", ["SYNOPSIS"]);
    page.text([
        bold(NAME),
        roman(" ["),
        italic("COMMAND"),
        roman("] ["),
        italic("OPTION"),
        roman("]..."),
    ]);
    page.control("SH", ["COMMANDS"]);
    for command in &COMMANDS {
        let words = if command.words.is_empty() {
            "(no command)".to_owned()
        } else {
            command.words.join(" ")
        };
        page.control("SS", [words.as_str()]);
        page.text([roman(command.text.replace('\n', " "))]);
        for choice in command.options {
            option(choice, &mut page);
        }
    }
    page.control("SH", ["OPTIONS OF EVERY COMMAND"]);
    option(&HELP, &mut page);
    option(&VERSION, &mut page);
    page.control("SH", ["NOTES"]);
    for (at, paragraph) in NOTES.split("\n\n").enumerate() {
        if at > 0 {
            page.control("PP", []);
        }
        page.control("nf", []);
        page.text([roman(paragraph.trim_end())]);
        page.control("fi", []);
    }
    page.render()
}

fn option(choice: &Choice, page: &mut Roff) {
    page.control("TP", []);
    let mut head = vec![bold(format!("--{}", choice.name))];
    if let Some(value) = choice.value {
        head.extend([roman(" "), italic(value)]);
    }
    page.text(head);
    page.text([roman(choice.text)]);
}

#[test]
fn files_are_of_the_table() {
    for (name, shell) in [(BASH, Shell::Bash), (ZSH, Shell::Zsh), (FISH, Shell::Fish)] {
        held(name, &completions(shell));
    }
    held(MAN, &man_page());
}

/// Runs a shell; what it prints.
fn run(program: &str, arguments: &[&str], stdin: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|why| panic!("{program}: {why}"));
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// What bash offers behind some words.
fn offered(words: &[&str]) -> Vec<String> {
    let function = format!("_{}", NAME.replace('-', "_"));
    let script = format!(
        ". '{}'\nCOMP_WORDS=({})\nCOMP_CWORD={}\n{function} '{NAME}' '{}' '{}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        path(BASH).display(),
        words.join(" "),
        words.len() - 1,
        words[words.len() - 1],
        words[words.len() - 2],
    );
    run("bash", &["--norc", "-u"], &script).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes() {
    let commands = offered(&[NAME, ""]);
    for word in ["refresh", "doctor", "render", "setup", "--config", "--version"] {
        assert!(commands.iter().any(|offer| offer == word), "{word}: {commands:?}");
    }
    assert_eq!(offered(&[NAME, "doc"]), ["doctor"]);
    assert_eq!(offered(&[NAME, "setup", "un"]), ["uninstall"]);
    assert_eq!(offered(&[NAME, "doctor", "--im"]), ["--image"]);
    assert_eq!(offered(&[NAME, "refresh", "--im"]), [""]);
}

/// man prints what the program's help has.
#[test]
fn the_man_page_is_read() {
    let page = path(MAN);
    let page = page.to_str().unwrap();
    let lint = Command::new("mandoc").args(["-T", "lint", "-W", "warning", page]).output().unwrap();
    let found = String::from_utf8(lint.stdout).unwrap();
    // A date would be that of nothing: the page changes with the table.
    let found: Vec<&str> = found.lines().filter(|line| !line.contains("missing date")).collect();
    assert_eq!(found, [""; 0]);
    let text = run("mandoc", &["-T", "utf8", "-O", "width=200", page], "");
    // Bold and underlined letters are overstruck.
    let plain: String = {
        let mut letters: Vec<char> = Vec::new();
        for letter in text.chars() {
            if letter == '\u{8}' {
                letters.pop();
            } else {
                letters.push(letter);
            }
        }
        letters.into_iter().collect()
    };
    let help = Command::new(PROGRAM).arg("--help").output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    let options: Vec<&str> =
        help.split_whitespace().filter(|word| word.starts_with("--")).collect();
    assert!(options.len() > 30, "{help}");
    for option in options {
        assert!(plain.contains(option), "{option}");
    }
}
