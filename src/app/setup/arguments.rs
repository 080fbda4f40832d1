//! The command line of `setup`.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::failure::{Exit, Failure};
use crate::kubelet::versions::Release;
use crate::setup::options::{Action, Options};

/// What a command line asks of `setup`; none where it is of another command.
///
/// # Errors
///
/// What means nothing here.
pub fn parse(arguments: &[OsString]) -> Option<Result<(Action, Options), Failure>> {
    let mut rest = arguments.iter();
    let mut before = Vec::new();
    loop {
        let next = rest.next()?;
        match next.to_str() {
            Some("--config") => before.extend([next.clone(), rest.next()?.clone()]),
            Some(text) if text.starts_with("--config=") => before.push(next.clone()),
            Some("setup") => break,
            _ => return None,
        }
    }
    Some(read(before.into_iter().chain(rest.cloned())))
}

fn read(arguments: impl Iterator<Item = OsString>) -> Result<(Action, Options), Failure> {
    let mut parser = Parser::from_args(arguments);
    let mut action = None;
    let mut options = Options::default();
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Arg::Value(word) if action.is_none() => {
                let word = word.string().map_err(wrong)?;
                action = Some(match word.as_str() {
                    "install" => Action::Install,
                    "uninstall" => Action::Uninstall,
                    "status" => Action::Status,
                    _ => {
                        return Err(usage(format!(
                            "`setup {word}`: expected install, uninstall or status"
                        )));
                    }
                });
            }
            Arg::Long("dry-run") => options.dry_run = true,
            Arg::Long("json") => options.json = true,
            Arg::Long("restart") => options.restart = true,
            Arg::Long("refresh-timer") => options.refresh_timer = true,
            Arg::Long("service-accounts") => options.service_accounts = true,
            Arg::Long("root") => options.root = Some(path(&mut parser)?),
            Arg::Long("config") => options.config = Some(path(&mut parser)?),
            Arg::Long("binary") => options.binary = Some(path(&mut parser)?),
            Arg::Long("bin-dir") => options.bin_dir = Some(text(&mut parser)?),
            Arg::Long("sha256") => {
                let sum = text(&mut parser)?.to_ascii_lowercase();
                if sum.len() != 64 || !sum.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(usage("--sha256 takes 64 hexadecimal digits"));
                }
                options.sha256 = Some(sum);
            }
            Arg::Long("match-images") => {
                let patterns = text(&mut parser)?;
                options.match_images = Some(patterns.split(',').map(str::to_owned).collect());
            }
            Arg::Long("kubelet-version") => {
                let version = text(&mut parser)?;
                let release = version.split_whitespace().find_map(Release::parse);
                let message =
                    format!("`--kubelet-version {version}`: expected a version such as 1.33");
                options.release = Some(release.ok_or_else(|| usage(message))?);
            }
            Arg::Long("watch") => {
                let seconds = text(&mut parser)?;
                let message = format!("`--watch {seconds}`: expected a number of seconds");
                options.watch = Some(seconds.parse().map_err(|_| usage(message))?);
            }
            other => return Err(wrong(other.unexpected())),
        }
    }
    let action = action.ok_or_else(|| usage("`setup`: expected install, uninstall or status"))?;
    Ok((action, options))
}

fn path(parser: &mut Parser) -> Result<PathBuf, Failure> {
    parser.value().map(PathBuf::from).map_err(wrong)
}

fn text(parser: &mut Parser) -> Result<String, Failure> {
    let text = parser.value().and_then(ValueExt::string).map_err(wrong)?;
    if text.is_empty() {
        return Err(usage("an option has an empty value"));
    }
    Ok(text)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn wrong(error: lexopt::Error) -> Failure {
    usage(error.to_string())
}

fn usage(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, message).hint("see aliyun-acr-credential-provider --help")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Option<Result<(Action, Options), Failure>> {
        parse(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn command_lines() {
        let options = Options {
            root: Some("/t".into()),
            config: Some("/c".into()),
            dry_run: true,
            match_images: Some(vec!["a".to_owned(), "b".to_owned()]),
            ..Options::default()
        };
        let line = "--config /c setup install --root /t --dry-run --match-images a,b";
        let words: Vec<&str> = line.split(' ').collect();
        let (action, read) = parsed(&words).unwrap().unwrap();
        assert_eq!((action, read), (Action::Install, options));
        assert!(parsed(&["setup", "status"]).unwrap().is_ok());
        assert!(parsed(&["doctor", "setup"]).is_none());
        assert!(parsed(&[]).is_none());
        for wrong in ["setup", "setup nothing", "setup install --sha256 abc", "setup install --x"] {
            let words: Vec<&str> = wrong.split(' ').collect();
            assert!(parsed(&words).unwrap().is_err(), "{wrong}");
        }
    }
}
