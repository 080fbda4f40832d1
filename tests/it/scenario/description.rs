//! `scenario.yaml`: what is given and what is expected.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    /// What is shown, in a sentence or two.
    pub(super) about: String,
    /// The name that the program is run by, in place of its own: a link in `${dir}`. A name of one of
    /// docker's credential helpers makes it one.
    #[serde(default)]
    pub(super) program: Option<String>,
    /// What the program reads, to the letter, in place of a request.
    #[serde(default)]
    pub(super) stdin: Option<String>,
    /// The number of the user that runs the program, in place of root.
    #[serde(default)]
    pub(super) user: Option<u32>,
    /// What the kubelet asks for, if it is not the standard image.
    #[serde(default)]
    pub(super) image: Option<String>,
    /// Those of the pod's service account.
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    /// The service account token that the kubelet gives for the pod.
    #[serde(default)]
    pub(super) pod_token: Option<Token>,
    /// The name of a standard configuration, in place of `config.yaml`.
    #[serde(default)]
    pub(super) config: Option<String>,
    /// What is different in its entry; null removes a key.
    #[serde(default)]
    pub(super) entry: BTreeMap<String, Json>,
    /// What is different in its `credential-provider`; null removes a key.
    #[serde(default)]
    pub(super) settings: BTreeMap<String, Json>,
    /// Arguments in place of `--config <the configuration file>`.
    #[serde(default)]
    pub(super) args: Option<Vec<String>>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    /// Where in `${dir}` the configuration file is, for a program that finds it by itself: without
    /// `args` neither an argument nor a variable names it then.
    #[serde(default)]
    pub(super) config_at: Option<String>,
    /// Mode of the configuration file, octal; 600 if left out.
    #[serde(default)]
    pub(super) config_mode: Option<String>,
    /// Written to `${dir}/token` before the run.
    #[serde(default)]
    pub(super) token_file: Option<Token>,
    /// Written to `${dir}/aliyun.json` before the run: JSON, or a text as it is.
    #[serde(default)]
    pub(super) profiles: Option<Json>,
    /// Mode of that file, octal; 600 if left out.
    #[serde(default)]
    pub(super) profiles_mode: Option<String>,
    /// What is different in the cloud from the standard world, as a JSON merge patch.
    #[serde(default)]
    pub(super) cloud: Option<Json>,
    pub(super) expect: Expect,
}

/// A service account token as the simulated cluster issues it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Token {
    #[serde(default = "provider")]
    pub(super) provider: String,
    /// `namespace/name`.
    pub(super) service_account: String,
    #[serde(default)]
    pub(super) audience: Option<String>,
    #[serde(default)]
    pub(super) issuer: Option<String>,
    /// Seconds.
    #[serde(default)]
    pub(super) life: Option<i64>,
    /// Seconds.
    #[serde(default)]
    pub(super) issued_ago: Option<i64>,
}

fn provider() -> String {
    "acs:ram::1000000000000001:oidc-provider/ack-rrsa-c0000000000000000000000000000000a".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    pub(super) exit: u8,
    /// `Registry` with a login, or `Image` for a host that is not ours.
    #[serde(default)]
    pub(super) cache_key_type: Option<String>,
    /// In Go's form. Less is right as well, by the time that the run took and two seconds.
    #[serde(default)]
    pub(super) cache_duration: Option<String>,
    /// The only key of `auth`; none for `auth: null`.
    #[serde(default)]
    pub(super) auth: Option<String>,
    #[serde(default)]
    pub(super) user: Option<String>,
    /// What a credential helper writes to stdout, but for an error, which is on both streams.
    #[serde(default)]
    pub(super) stdout: Option<String>,
    /// The `ServerURL` of a credential helper's login.
    #[serde(default)]
    pub(super) server: Option<String>,
    /// `<instance>/<repository>` that the login pulls.
    #[serde(default)]
    pub(super) pulls: Option<String>,
    /// `<instance>/<repository>` that it does not pull.
    #[serde(default)]
    pub(super) does_not_pull: Option<String>,
    /// `<account>/<region>/<repository>` that it pulls.
    #[serde(default)]
    pub(super) pulls_personal: Option<String>,
    /// The run takes no longer than this many seconds, and ten more on a busy machine.
    #[serde(default)]
    pub(super) within: Option<u64>,
    /// The calls are not compared, for scenarios in which their number is up to chance.
    #[serde(default)]
    pub(super) any_calls: bool,
}
