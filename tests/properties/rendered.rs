//! What `render` writes from any configuration, read back.

use std::collections::BTreeMap;
use std::ffi::OsString;

use aliyun_acr_credential_provider::aliyun::ids::InstanceId;
use aliyun_acr_credential_provider::config::{Config, Entry, IdentitySource, Scope};
use aliyun_acr_credential_provider::kubelet::versions::Release;
use aliyun_acr_credential_provider::render::config_map;
use aliyun_acr_credential_provider::render::kubelet_config::{self, Options};
use aliyun_acr_credential_provider::system::environment::Environment;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use simulation::kubelet::{decode_config, urls_match};

fn arn(kind: &str, name: &str) -> String {
    format!("acs:ram::1000000000000001:{kind}/{name}")
}

fn role() -> impl Strategy<Value = String> {
    // Several dots in a row are taken for a placeholder.
    "[A-Za-z0-9_@-](\\.?[A-Za-z0-9_@-]){0,10}".prop_map(|name| arn("role", &name))
}

/// Keys of an entry, as somebody may write them.
fn entry() -> impl Strategy<Value = Map<String, Value>> {
    let instances = prop::collection::vec("cri-[a-w0-9]{1,8}", 0..3);
    let region = prop::option::of(prop::sample::select(vec!["cn-hangzhou", "us-east-1"]));
    let custom = "([a-w0-9]{1,5}\\.){1,3}[a-w]{2,4}(:[1-9][0-9]{0,3})?";
    let domains = prop::collection::vec(custom, 0..3);
    let personal = prop::collection::vec(
        prop::sample::select(vec![
            "registry.cn-hangzhou.aliyuncs.com",
            "registry-vpc.us-east-1.aliyuncs.com",
            "registry.aliyuncs.com",
        ]),
        0..3,
    );
    let identity = (0..4, role(), "[a-z0-9-]{1,12}", any::<bool>());
    let assumed = prop::option::of((
        role(),
        prop::option::of("[a-zA-Z0-9_+=,@:/-](\\.?[a-zA-Z0-9_+=,@:/-]){1,6}"),
    ));
    let rest = (
        prop::option::of(900u32..=43_200),
        prop::option::of("[a-zA-Z0-9@_-](\\.?[a-zA-Z0-9@_-]){1,6}"),
        any::<bool>(),
        any::<bool>(),
    );
    (instances, region, domains, personal, identity, assumed, rest).prop_map(
        |(
            instances,
            region,
            domains,
            personal,
            (identity, role, provider, required),
            assumed,
            (expire, name, only, list),
        )| {
            let mut keys = Map::new();
            let mut put = |key: &str, value: Value| keys.insert(key.to_owned(), value);
            let several =
                |texts: Vec<String>| if list { json!(texts) } else { json!(texts.join(", ")) };
            let domains: Vec<String> = if instances.is_empty() {
                personal.into_iter().map(str::to_owned).collect()
            } else {
                domains
            };
            if !instances.is_empty() {
                put("instanceId", several(instances));
            }
            region.map(|region| put("regionId", json!(region)));
            if !domains.is_empty() {
                put("domains", several(domains));
            }
            if identity < 2 {
                put("rrsaOIDCProviderRoleARN", json!(arn("oidc-provider", &provider)));
                if identity == 0 {
                    put("rrsaRoleARN", json!(role));
                } else {
                    put("podIdentity", json!(if required { "required" } else { "auto" }));
                    put("allowedRoles", json!(["team-*"]));
                }
            }
            let has_session = assumed.is_some() || identity < 2;
            if let Some((role, external)) = assumed {
                put("assumeRoleARN", json!(role));
                external.map(|id| put("externalId", json!(id)));
            }
            expire.map(|seconds| put("expireDuration", json!(seconds)));
            name.map(|name| put("roleSessionName", json!(name)));
            if only && has_session {
                put("sessionPolicy", json!("pull-only"));
            }
            keys
        },
    )
}

/// Keys of the vendor's that mean nothing here.
const PASSED_OVER: [&str; 3] = ["service-account", "watch-namespace", "webhook-configuration"];

/// Their values, of whatever kind.
fn passed_over() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[a-z*, :{}\\[\\]#'\"-]{0,8}".prop_map(Value::from),
        prop::sample::select(vec!["true", "null", "1", "1.5", "2018-12-01"]).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        (-9..9).prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        let keys = "[a-z: -]{1,8}";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..3)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// A configuration's text in one of its three forms.
fn text() -> impl Strategy<Value = String> {
    let entries = prop::option::of(prop::collection::vec(entry(), 0..4));
    let threshold = prop::option::of("[0-9]{1,4}(ms|s|m)([0-9]{1,2}s)?");
    let passed_over = prop::array::uniform3(prop::option::of(passed_over()));
    let parts = (entries, threshold, any::<bool>(), passed_over, 0..3);
    parts.prop_map(|(entries, threshold, rrsa, passed_over, form)| {
        let by_rrsa = |entries: &Vec<Map<String, Value>>| {
            entries.iter().any(|entry| entry.contains_key("rrsaRoleARN"))
        };
        let rrsa = rrsa || entries.as_ref().is_some_and(by_rrsa);
        let parts = [
            entries.map(|entries| ("acr-registry-info", json!(entries))),
            threshold.map(|threshold| ("expiring-threshold", json!(threshold))),
            rrsa.then(|| ("rrsa", json!({"enable": true}))),
        ];
        let passed_over = PASSED_OVER.into_iter().zip(passed_over);
        let passed_over = passed_over.filter_map(|(key, value)| Some((key, value?)));
        let real: Map<String, Value> = parts
            .into_iter()
            .flatten()
            .chain(passed_over)
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let written = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let data: Map<String, Value> =
            real.iter().map(|(key, value)| (key.clone(), json!(written(value)))).collect();
        let settings = json!({"accountId": "1000000000000001", "clusterId": "c1"});
        let document = match form {
            0 => json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data, "credential-provider": settings}),
            1 => json!({"data": data, "credential-provider": settings}),
            _ => {
                let mut plain = real;
                plain.insert("credential-provider".to_owned(), settings);
                Value::Object(plain)
            }
        };
        document.to_string()
    })
}

fn environment(oidc: bool) -> Environment {
    let variables = [
        ("ALIBABA_CLOUD_ROLE_ARN", arn("role", "from-environment")),
        ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", arn("oidc-provider", "from-environment")),
        ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/token".to_owned()),
    ];
    let given = variables.into_iter().filter(|_| oidc);
    Environment::new(given.map(|(name, value)| (OsString::from(name), OsString::from(value))))
}

/// What the vendor's helper knows of an entry.
fn meaning(entry: &Entry) -> String {
    let identity = match &entry.identity {
        IdentitySource::AccessKey(_) => "an AccessKey".to_owned(),
        IdentitySource::WorkerRole => "worker role".to_owned(),
        IdentitySource::Oidc(oidc) => format!("{:?} {}", oidc.role, oidc.provider),
        other => other.summary(),
    };
    let role = entry.role.as_ref().map(|role| &role.arn);
    let Entry { scope, instances, region, expire_duration, .. } = entry;
    format!("{scope:?} {instances:?} {region:?} {identity} {role:?} {expire_duration}")
}

/// The keys of an entry that the vendor's page has.
fn by_the_vendor(entry: &Entry) -> Value {
    let ids: Vec<&str> = entry.instances.iter().map(InstanceId::as_str).collect();
    let mut keys = json!({"instanceId": ids.join(","), "expireDuration": entry.expire_duration});
    let mut put = |key: &str, value: String| keys[key] = json!(value);
    if let Some(region) = &entry.region {
        put("regionId", region.to_string());
    }
    if let Scope::Domains(domains) = &entry.scope {
        put("domains", domains.join(","));
    }
    if let IdentitySource::Oidc(oidc) = &entry.identity {
        put("rrsaOIDCProviderRoleARN", oidc.provider.to_string());
        put("rrsaRoleARN", oidc.role.as_ref().unwrap().to_string());
    }
    if let Some(role) = &entry.role {
        put("assumeRoleARN", role.arn.to_string());
    }
    keys
}

/// The data of a manifest, which are texts, as those of a `ConfigMap` have to be.
fn as_others_read(manifest: &str) -> Map<String, Value> {
    let manifest: Value = serde_saphyr::from_str(manifest).unwrap();
    let data = manifest["data"].as_object().unwrap();
    assert!(data.values().all(Value::is_string), "{data:?}");
    data.clone()
}

/// What a text of a manifest has in it.
fn inner(text: &Value) -> Value {
    serde_saphyr::from_str(text.as_str().unwrap()).unwrap()
}

/// Whether a text says what was written: the same text, a list with commas, or the same as YAML.
fn says(text: Option<&Value>, written: &Value) -> bool {
    let said = text.and_then(Value::as_str).unwrap_or_default();
    let single = |value: &Value| match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    match written {
        Value::Null => said.is_empty(),
        Value::Object(pairs) if pairs.is_empty() => said.is_empty(),
        Value::Array(items) => match items.iter().map(single).collect::<Option<Vec<_>>>() {
            Some(items) => said == items.join(","),
            None => inner(text.unwrap()) == *written,
        },
        other => {
            single(other).map_or_else(|| inner(text.unwrap()) == *written, |text| text == said)
        }
    }
}

/// Keys that mean nothing here, with their values, in the order of their names.
fn passed_over_of(config: &Config) -> BTreeMap<String, String> {
    let ignored = config.written.ignored.iter().filter(|(_, _, value)| !value.is_empty());
    ignored.map(|(name, _, value)| (name.clone(), value.clone())).collect()
}

proptest! {
    #![proptest_config(super::config())]

    #[test]
    fn a_config_map_reads_back_the_same(text in text(), oidc in any::<bool>()) {
        let environment = environment(oidc);
        let config = Config::resolve(None, &text, false, &environment).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        let by_annotation =
            |entry: &Entry| matches!(&entry.identity, IdentitySource::Oidc(oidc) if oidc.role.is_none());
        match config_map::render(&config) {
            Err(failure) => {
                // The one thing that the vendor's helper does not have.
                prop_assert!(config.entries.iter().any(by_annotation), "{}", failure);
            }
            Ok(written) => {
                prop_assert!(!config.entries.iter().any(by_annotation));
                let again = Config::resolve(None, &written, false, &environment)
                    .map_err(|e| TestCaseError::fail(format!("{e}\n{written}")))?;
                prop_assert_eq!(again.expiring_threshold, config.expiring_threshold, "{}", written);
                let all = |config: &Config| config.entries.iter().map(meaning).collect::<Vec<_>>();
                prop_assert_eq!(all(&again), all(&config), "{}", written);
                prop_assert!(again.warnings.is_empty(), "{:?}", again.warnings);
                let from_environment = |entry: &Entry| entry.scope == Scope::Personal && matches!(entry.identity, IdentitySource::Oidc(_));
                prop_assert_eq!(again.written.rrsa, config.written.rrsa || config.entries.iter().any(from_environment), "{}", written);
                prop_assert_eq!(passed_over_of(&again), passed_over_of(&config), "{}", written);
                // By another parser, too, as the API server and the vendor's helper have theirs.
                let of_entries: Vec<Value> = config.entries.iter().filter(|entry| entry.scope != Scope::Account).map(by_the_vendor).collect();
                let data = as_others_read(&written);
                let entries = data.get("acr-registry-info").map_or_else(|| json!([]), inner);
                prop_assert_eq!(entries, json!(of_entries), "{}", written);
                let document: Value = serde_json::from_str(&text).unwrap();
                let before = document.get("data").unwrap_or(&document);
                for key in PASSED_OVER {
                    let before = before.get(key).unwrap_or(&Value::Null);
                    prop_assert!(says(data.get(key), before), "{}: {}", before, written);
                }
            }
        }
    }

    /// What means nothing on a node is written as it was, whatever is in it.
    #[test]
    fn a_text_reads_back_the_same(text in prop_oneof![any::<String>(), "[ -~]{0,20}", "[\u{0}-\u{ff}\u{2028}\u{2029}\u{feff}\u{fffe}]{0,8}"]) {
        let none = Environment::default();
        let escaped = text.chars().fold(String::new(), |all, c| all + &format!("\\U{:08x}", u32::from(c)));
        let values = |source: &str| {
            let config = Config::resolve(None, source, false, &none).map_err(|e| TestCaseError::fail(format!("{e}\n{source}")))?;
            Ok::<_, TestCaseError>((passed_over_of(&config), config))
        };
        let (before, config) = values(&format!("notify-email: \"{escaped}\"\nwatch-namespace: all\n"))?;
        let written = config_map::render(&config).unwrap();
        let (after, _) = values(&written)?;
        prop_assert_eq!(after, before, "{}", written);
    }

    /// The kubelet starts with its file, and asks for every host that an entry names.
    #[test]
    fn the_kubelet_reads_its_configuration(text in text(), minor in 20u32..37) {
        let config = Config::resolve(None, &text, false, &Environment::default()).unwrap();
        let options = Options { release: Release::parse(&format!("1.{minor}")), ..Options::default() };
        let written = kubelet_config::render(&config, &options).unwrap();
        let read = decode_config(&written, minor).map_err(|why| TestCaseError::fail(format!("{why}\n{written}")))?;
        let patterns = &read.providers[0].match_images;
        for entry in &config.entries {
            if let Scope::Domains(domains) = &entry.scope {
                for domain in domains {
                    let hit = |pattern: &String| urls_match(pattern, &format!("{domain}/a")).unwrap();
                    prop_assert!(patterns.iter().any(hit), "{}: {}", domain, written);
                }
            }
        }
    }
}
