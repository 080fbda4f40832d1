//! A configuration file. One that is refused is refused at a place that is in the file, in lines
//! that have no control characters; one that is taken means the same when the `ConfigMap` that
//! `render` writes from it is read, and keeps within its bounds.

#![no_main]

use aliyun_acr_credential_provider::aliyun::registry_host::is_host_and_port;
use aliyun_acr_credential_provider::config::{Config, ConfigError, Mistakes, Scope, yaml};
use aliyun_acr_credential_provider::render::config_map;
use aliyun_acr_credential_provider::render::kubelet_config::{self, Options};
use aliyun_acr_credential_provider::system::environment::Environment;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let environment = Environment::default();
    let config = match Config::resolve(None, text, false, &environment) {
        Ok(config) => config,
        Err(ConfigError::Wrong(Mistakes { in_file: problems, .. })) => {
            assert!(!problems.is_empty() && problems.len() <= 200);
            // A carriage return alone ends a line, too, in YAML.
            let lines = text.replace("\r\n", "\n").replace('\r', "\n").lines().count().max(1) + 1;
            for problem in problems {
                assert!(problem.at.line >= 1 && problem.at.line <= lines, "{problem:?} of {lines}");
                assert!(problem.at.column >= 1, "{problem:?}");
                // However long a text is that it quotes.
                assert!((1..=800).contains(&problem.message.chars().count()), "{problem:?}");
            }
            return;
        }
        Err(error) => panic!("{error}"),
    };
    assert!(yaml::parse(text).is_ok());
    let settings = &config.settings;
    assert!((1..=50).contains(&settings.timeout.as_secs()));
    assert!(settings.margin.as_secs() <= 900);
    assert!(settings.oidc_token_file.is_absolute());
    for entry in &config.entries {
        assert!((900..=43_200).contains(&entry.expire_duration));
        if let Scope::Domains(domains) = &entry.scope {
            assert!(domains.iter().all(|domain| is_host_and_port(domain)), "{domains:?}");
        }
    }
    kubelet_config::render(&config, &Options::default()).expect("every version has this");
    let Ok(written) = config_map::render(&config) else { return };
    let again = Config::resolve(None, &written, false, &environment)
        .unwrap_or_else(|error| panic!("{error}\n{written}"));
    let rewritten = config_map::render(&again).expect("still no AccessKey");
    // Comments say what was left out, which the second time is nothing.
    let meant = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.trim_start().starts_with('#')).map(str::to_owned).collect()
    };
    assert_eq!(meant(&written), meant(&rewritten));
    let scopes = |config: &Config| -> Vec<Scope> {
        config.entries.iter().map(|entry| entry.scope.clone()).collect()
    };
    assert_eq!(scopes(&config), scopes(&again));
});
