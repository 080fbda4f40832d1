//! The kubelet's `CredentialProviderConfig`, for its version and the configured hosts.

use std::fmt::Write;
use std::path::Path;

use crate::config::{Config, Entry, IdentitySource, SYSTEM_PATH, Scope};
use crate::failure::{Exit, Failure};
use crate::kubelet::match_images::overlap;
use crate::pull::identity::{AUDIENCE, ROLE_NAME_ANNOTATION};
use crate::render::{nobody_takes_tokens, quoted};

const NAME: &str = "aliyun-acr-credential-provider";

/// The same binary under another name: a provider either gets service account tokens or not.
const NAME_FOR_PODS: &str = "aliyun-acr-credential-provider-pods";

/// What the file is to be for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Options {
    /// Minor version of Kubernetes 1; the newest form if it is left out.
    pub kubelet_minor: Option<u32>,
    /// For a folder of configurations (Kubernetes 1.34 and later).
    pub directory: bool,
    /// The kubelet sends tokens of the pods' service accounts.
    pub service_accounts: bool,
}

impl Options {
    /// `1.33`, `v1.33.4` or `1.33.4-aliyun.1` as a minor version.
    #[must_use]
    pub fn minor(text: &str) -> Option<u32> {
        let mut numbers = text.strip_prefix('v').unwrap_or(text).split('.');
        (numbers.next()? == "1").then_some(())?;
        numbers.next()?.parse().ok().filter(|minor| *minor >= 20)
    }
}

/// The file's text.
///
/// # Errors
///
/// What this version of the kubelet cannot do.
pub fn render(config: &Config, options: &Options) -> Result<String, Failure> {
    let minor = options.kubelet_minor.unwrap_or(34);
    let version = match minor {
        ..=23 => "v1alpha1",
        24..=25 => "v1beta1",
        _ => "v1",
    };
    let cannot = |what: &str, since: u32| {
        Failure::new(Exit::Usage, format!("Kubernetes 1.{minor} has no {what}"))
            .hint(format!("that came with Kubernetes 1.{since}"))
    };
    if options.service_accounts && minor < 33 {
        return Err(cannot("service account tokens for credential providers", 33));
    }
    if options.directory && minor < 34 {
        return Err(cannot("folder of credential provider configurations", 34));
    }
    let mut text = String::new();
    let _ = writeln!(text, "# {}", place(options));
    if minor <= 23 {
        text += "# It needs --feature-gates=KubeletCredentialProviders=true.\n";
    }
    for entry in config.entries.iter().filter(|_| !options.service_accounts) {
        if entry.identity.requires_pod_tokens() {
            let _ = writeln!(
                text,
                "# {} requires a pod's token, and by this file none is sent: see --service-accounts.",
                entry.name
            );
        }
    }
    if options.service_accounts {
        text +=
            "# The kubelet may ask for the tokens once the output of `render rbac` is applied.\n";
    }
    if options.service_accounts && minor == 33 {
        text += "# Kubernetes 1.33 needs --feature-gates=KubeletServiceAccountTokenForCredentialProviders=true, for\n# the kubelet and for the API server, whose role for nodes then covers reading service accounts.\n";
    }
    let providers = providers(config, options)?;
    if providers.iter().any(|provider| provider.name == NAME_FOR_PODS) {
        let _ = writeln!(
            text,
            "# The kubelet does not start unless the binary has this other name, too: ln -s {NAME} {NAME_FOR_PODS}\n# in the folder of --image-credential-provider-bin-dir."
        );
    }
    if providers.len() > 1 {
        text += "# No image may be in both lists.\n";
    }
    let _ = writeln!(text, "apiVersion: kubelet.config.k8s.io/{version}");
    text += "kind: CredentialProviderConfig\nproviders:\n";
    let arguments = arguments(config)?;
    for provider in &providers {
        let _ = writeln!(text, "  - name: {}", provider.name);
        let _ = writeln!(text, "    apiVersion: credentialprovider.kubelet.k8s.io/{version}");
        text += "    matchImages:\n";
        for (pattern, _) in &provider.patterns {
            let _ = writeln!(text, "      - {}", quoted(pattern));
        }
        text += "    defaultCacheDuration: 0s\n";
        text += &arguments;
        if provider.name == NAME_FOR_PODS {
            text += &token_attributes(minor, provider.asks_for_role);
        }
    }
    Ok(text)
}

fn place(options: &Options) -> &'static str {
    if options.directory {
        "Into the folder that --image-credential-provider-config names, with a name that ends in .yaml."
    } else {
        "The file that --image-credential-provider-config names."
    }
}

/// The file has to be named where it is not where it is looked for.
fn arguments(config: &Config) -> Result<String, Failure> {
    let Some(path) = config.path.as_ref().filter(|path| *path != Path::new(SYSTEM_PATH)) else {
        return Ok(String::new());
    };
    if !path.is_absolute() {
        let message = format!(
            "`{}` is no absolute path, and the kubelet has another working directory",
            path.display()
        );
        return Err(Failure::new(Exit::Usage, message).hint("give --config with an absolute path"));
    }
    Ok(format!("    args: [\"--config\", {}]\n", quoted(&path.to_string_lossy())))
}

/// `cacheType` came with 1.34 and is required there. A login depends on the service account alone,
/// and never outlives the token.
///
/// Pods without a service account, which are static pods, are asked for too: so an entry that
/// requires a token says why there is no login, where the kubelet would pass over it in silence.
fn token_attributes(minor: u32, asks_for_role: bool) -> String {
    let mut text = format!("    tokenAttributes:\n      serviceAccountTokenAudience: {AUDIENCE}\n");
    if minor >= 34 {
        text += "      cacheType: ServiceAccount\n";
    }
    text += "      requireServiceAccount: false\n";
    if asks_for_role {
        let _ = writeln!(
            text,
            "      optionalServiceAccountAnnotationKeys:\n        - {ROLE_NAME_ANNOTATION}"
        );
    }
    text
}

/// The program under one of its names, and what it is asked for.
struct Provider<'c> {
    name: &'static str,
    /// With the name of the entry that each comes from.
    patterns: Vec<(String, &'c str)>,
    /// Only entries with `allowedRoles` do: others refuse every role that an annotation names, and
    /// service accounts may have the annotation for what runs in their pods.
    asks_for_role: bool,
}

impl Provider<'_> {
    fn new(name: &'static str) -> Self {
        Self { name, patterns: Vec::new(), asks_for_role: false }
    }

    fn has(&self, pattern: &str) -> bool {
        self.patterns.iter().any(|(known, _)| known == pattern)
    }
}

/// One provider for all entries; with service accounts one for those that take a pod's token and
/// one for the others, for a kubelet sends a provider tokens or it does not.
fn providers<'c>(config: &'c Config, options: &Options) -> Result<Vec<Provider<'c>>, Failure> {
    let takes = |entry: &Entry| entry.identity.takes_pod_tokens();
    if options.service_accounts && !config.entries.iter().any(takes) {
        return Err(nobody_takes_tokens("there is nothing to send them for"));
    }
    let (mut pods, mut node) = (Provider::new(NAME_FOR_PODS), Provider::new(NAME));
    for entry in &config.entries {
        let for_pods = options.service_accounts && takes(entry);
        let (own, other) = if for_pods { (&mut pods, &node) } else { (&mut node, &pods) };
        for pattern in patterns(entry) {
            // A host that two entries name is the first one's.
            let named_before = matches!(entry.scope, Scope::Domains(_)) && other.has(&pattern);
            if !own.has(&pattern) && !named_before {
                own.patterns.push((pattern, &entry.name));
            }
        }
        own.asks_for_role |=
            matches!(&entry.identity, IdentitySource::Oidc(oidc) if !oidc.allowed_roles.is_empty());
    }
    apart(&pods, &node)?;
    Ok([pods, node].into_iter().filter(|provider| !provider.patterns.is_empty()).collect())
}

/// The kubelet asks every provider that an image hits and tries all their answers.
fn apart(pods: &Provider<'_>, node: &Provider<'_>) -> Result<(), Failure> {
    for (one, of_one) in &pods.patterns {
        for (other, of_other) in &node.patterns {
            if overlap(one, other) {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("`{one}` of {of_one}, which takes pods' tokens, and `{other}` of {of_other}, which does not, hit the same images"),
                )
                .caused_by("the kubelet would ask for both and try both logins, so that of the node would rescue a pod that was refused")
                .hint("name the hosts in `domains` of both entries"));
            }
        }
    }
    Ok(())
}

/// Patterns for exactly the hosts that an entry covers.
fn patterns(entry: &Entry) -> Vec<String> {
    let region = entry.region.as_ref().map_or("*", |region| region.as_str());
    match &entry.scope {
        Scope::Domains(domains) => domains.clone(),
        Scope::Instances | Scope::Account => vec![
            format!("*.{region}.cr.aliyuncs.com"),
            format!("*.distributed.{region}.cr.aliyuncs.com"),
        ],
        Scope::Personal => ["", "-vpc", "-internal", "-intl", "-intl-vpc", "-intl-internal"]
            .map(|variant| format!("registry{variant}.{region}.aliyuncs.com"))
            .to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn versions() {
        assert_eq!(Options::minor("1.33"), Some(33));
        assert_eq!(Options::minor("v1.33.4"), Some(33));
        assert_eq!(Options::minor("1.26.15-aliyun.1"), Some(26));
        for not in ["", "1", "2.0", "1.x", "1.19", "v"] {
            assert_eq!(Options::minor(not), None, "{not}");
        }
    }
}
