//! The kubelet's `CredentialProviderConfig`, for its version and the configured hosts.

use std::fmt::Write;
use std::path::Path;

use crate::aliyun::registry_host::RegistryHost;
use crate::config::{Config, Entry, IdentitySource, SYSTEM_PATH, Scope};
use crate::failure::{Exit, Failure};
use crate::kubelet::match_images::{BOTH_LOGINS, first_overlap};
use crate::kubelet::provider_config::{self, Provider, TokenAttributes};
use crate::kubelet::versions::{ApiVersion, CREDENTIAL_PROVIDERS, Gate, Release, TOKENS};
use crate::program::{PROGRAM, PROGRAM_FOR_PODS};
use crate::pull::identity::{AUDIENCE, ROLE_NAME_ANNOTATION};
use crate::render::nobody_takes_tokens;

/// What the file is to be for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Options {
    /// The newest form if it is left out.
    pub release: Option<Release>,
    /// For a folder of configurations.
    pub directory: bool,
    /// The kubelet sends tokens of the pods' service accounts.
    pub service_accounts: bool,
}

/// The file's text.
///
/// # Errors
///
/// What this version of the kubelet cannot do.
pub fn render(config: &Config, options: &Options) -> Result<String, Failure> {
    let release = options.release.unwrap_or(Release::ASSUMED);
    check(options, release)?;
    let hosts = hosts(config, options)?;
    let mut text = String::new();
    for comment in comments(config, options, release, &hosts) {
        let _ = writeln!(text, "# {comment}");
    }
    let providers = of_hosts(config, release, hosts)?;
    Ok(text + &provider_config::text(ApiVersion::newest(release), &providers))
}

/// The providers alone, for a file that is there already.
///
/// # Errors
///
/// What this version of the kubelet cannot do.
pub fn providers(config: &Config, options: &Options) -> Result<Vec<Provider>, Failure> {
    let release = options.release.unwrap_or(Release::ASSUMED);
    check(options, release)?;
    of_hosts(config, release, hosts(config, options)?)
}

fn of_hosts(
    config: &Config,
    release: Release,
    hosts: Vec<Hosts<'_>>,
) -> Result<Vec<Provider>, Failure> {
    let arguments = arguments(config)?;
    let provider = |hosts: Hosts<'_>| Provider {
        name: hosts.name().to_owned(),
        match_images: hosts.patterns.into_iter().map(|(_, pattern)| pattern).collect(),
        arguments: arguments.clone(),
        tokens: hosts.for_pods.then(|| token_attributes(release, hosts.asks_for_role)),
        ..Provider::default()
    };
    Ok(hosts.into_iter().map(provider).collect())
}

fn check(options: &Options, release: Release) -> Result<(), Failure> {
    for (asked, since, what) in [
        (options.service_accounts, Release::WITH_TOKEN_ATTRIBUTES, "service account tokens"),
        (options.directory, Release::WITH_FOLDERS, "a folder of configurations"),
    ] {
        if asked && release < since {
            let message =
                format!("Kubernetes {release} does not know {what} of credential providers");
            return Err(
                Failure::new(Exit::Usage, message).hint(format!("use Kubernetes {since} or later"))
            );
        }
    }
    Ok(())
}

/// What stands above the providers, for the person who puts the file on a node.
fn comments(
    config: &Config,
    options: &Options,
    release: Release,
    hosts: &[Hosts<'_>],
) -> Vec<String> {
    let mut comments = vec![if options.directory {
        "Put this file into the folder of --image-credential-provider-config. Its name ends in .yaml.".to_owned()
    } else {
        "This is the file of --image-credential-provider-config.".to_owned()
    }];
    let is_off = |gate: &Gate| gate.by_default(release).is_some_and(|(_, is_on)| !is_on);
    if is_off(&CREDENTIAL_PROVIDERS) {
        comments
            .push(format!("The kubelet needs --feature-gates={}=true.", CREDENTIAL_PROVIDERS.name));
    }
    if options.service_accounts {
        comments.push(
            "The API server refuses the tokens until the output of `render rbac` is applied."
                .to_owned(),
        );
        if is_off(&TOKENS) {
            comments
                .push(format!("Kubelet and API server need --feature-gates={}=true.", TOKENS.name));
        }
    } else {
        let for_pods = config.entries.iter().filter(|entry| entry.identity.requires_pod_tokens());
        comments.extend(for_pods.map(|entry| {
            format!(
                "{} requires a pod's token. Use --service-accounts: this file sends no tokens.",
                entry.name
            )
        }));
    }
    if hosts.iter().any(|hosts| hosts.for_pods) {
        comments.push(
            "The kubelet does not start without a second name of the binary in its bin-dir:"
                .to_owned(),
        );
        comments.push(format!("ln -s {PROGRAM} {PROGRAM_FOR_PODS}"));
    }
    if hosts.len() > 1 {
        comments.push("An image must not match both lists.".to_owned());
    }
    comments
}

/// The file has to be named where it is not where it is looked for.
fn arguments(config: &Config) -> Result<Vec<String>, Failure> {
    let Some(path) = config.path.as_ref().filter(|path| *path != Path::new(SYSTEM_PATH)) else {
        return Ok(Vec::new());
    };
    if !path.is_absolute() {
        let message = format!("`{}` is not an absolute path", path.display());
        return Err(Failure::new(Exit::Usage, message)
            .caused_by("the kubelet has another working directory")
            .hint("give --config with an absolute path"));
    }
    Ok(vec!["--config".to_owned(), path.to_string_lossy().into_owned()])
}

/// A login depends on the service account alone, and never outlives the token.
///
/// Pods without a service account, which are static pods, are asked for too: so an entry that
/// requires a token says why there is no login, where the kubelet would ignore the pod in silence.
fn token_attributes(release: Release, asks_for_role: bool) -> TokenAttributes {
    let role = asks_for_role.then(|| ROLE_NAME_ANNOTATION.to_owned());
    TokenAttributes {
        audience: AUDIENCE.to_owned(),
        cache_type: (release >= Release::WITH_CACHE_TYPE).then(|| "ServiceAccount".to_owned()),
        require_account: false,
        required_keys: Vec::new(),
        optional_keys: role.into_iter().collect(),
    }
}

/// What the program is asked for under one of its names.
struct Hosts<'c> {
    /// With the tokens of pods.
    for_pods: bool,
    /// Behind the name of the entry that each comes from.
    patterns: Vec<(&'c str, String)>,
    /// Only entries with `allowedRoles` do: others refuse every role that an annotation names, and
    /// service accounts may have the annotation for what runs in their pods.
    asks_for_role: bool,
}

impl Hosts<'_> {
    fn new(for_pods: bool) -> Self {
        Self { for_pods, patterns: Vec::new(), asks_for_role: false }
    }

    fn name(&self) -> &'static str {
        if self.for_pods { PROGRAM_FOR_PODS } else { PROGRAM }
    }

    fn has(&self, pattern: &str) -> bool {
        self.patterns.iter().any(|(_, known)| known == pattern)
    }
}

/// One provider for all entries; with service accounts one for those that take a pod's token and
/// one for the others, for a kubelet sends a provider tokens or it does not.
fn hosts<'c>(config: &'c Config, options: &Options) -> Result<Vec<Hosts<'c>>, Failure> {
    let takes = |entry: &Entry| entry.identity.takes_pod_tokens();
    if options.service_accounts && !config.entries.iter().any(takes) {
        return Err(nobody_takes_tokens("the kubelet has no use for them"));
    }
    let (mut pods, mut node) = (Hosts::new(true), Hosts::new(false));
    for entry in &config.entries {
        let for_pods = options.service_accounts && takes(entry);
        let (own, other) = if for_pods { (&mut pods, &node) } else { (&mut node, &pods) };
        for pattern in patterns(entry) {
            // A host that two entries name is the first one's.
            let named_before = matches!(entry.scope, Scope::Domains(_)) && other.has(&pattern);
            if !own.has(&pattern) && !named_before {
                own.patterns.push((&entry.name, pattern));
            }
        }
        own.asks_for_role |=
            matches!(&entry.identity, IdentitySource::Oidc(oidc) if !oidc.allowed_roles.is_empty());
    }
    apart(&pods, &node)?;
    Ok([pods, node].into_iter().filter(|hosts| !hosts.patterns.is_empty()).collect())
}

fn apart(pods: &Hosts<'_>, node: &Hosts<'_>) -> Result<(), Failure> {
    let Some([(of_one, one), (of_other, other)]) = first_overlap(&pods.patterns, &node.patterns)
    else {
        return Ok(());
    };
    let message = format!(
        "`{one}` of {of_one}, which takes pods' tokens, and `{other}` of {of_other}, which does not, match the same images"
    );
    Err(Failure::new(Exit::Usage, message)
        .caused_by(BOTH_LOGINS)
        .hint("name the hosts in `domains` of both entries"))
}

/// Patterns for exactly the hosts that an entry covers.
fn patterns(entry: &Entry) -> Vec<String> {
    let region = entry.region.as_ref();
    match &entry.scope {
        Scope::Domains(domains) => domains.clone(),
        Scope::Instances | Scope::Account => RegistryHost::enterprise_patterns(region),
        Scope::Personal => RegistryHost::personal_patterns(region),
    }
}
