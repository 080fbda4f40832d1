//! The kubelet's `CredentialProviderConfig`, for its version and the configured hosts.

use std::fmt::Write;
use std::path::Path;

use crate::config::{Config, Entry, SYSTEM_PATH, Scope};
use crate::error::{Exit, Failure};
use crate::identity::{AUDIENCE, ROLE_NAME_ANNOTATION};
use crate::render::quoted;

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
    let name = if options.service_accounts { NAME_FOR_PODS } else { NAME };
    let mut text = String::new();
    let _ = writeln!(text, "# {}", place(options));
    if minor <= 23 {
        text += "# needs --feature-gates=KubeletCredentialProviders=true\n";
    }
    if options.service_accounts && minor == 33 {
        text += "# needs --feature-gates=KubeletServiceAccountTokenForCredentialProviders=true\n";
    }
    let _ = writeln!(text, "apiVersion: kubelet.config.k8s.io/{version}");
    text += "kind: CredentialProviderConfig\nproviders:\n";
    let _ = writeln!(text, "  - name: {name}");
    let _ = writeln!(text, "    apiVersion: credentialprovider.kubelet.k8s.io/{version}");
    text += "    matchImages:\n";
    for pattern in patterns(&config.entries) {
        let _ = writeln!(text, "      - {}", quoted(&pattern));
    }
    text += "    defaultCacheDuration: 0s\n";
    if let Some(path) = config.path.as_ref().filter(|path| *path != Path::new(SYSTEM_PATH)) {
        if !path.is_absolute() {
            return Err(Failure::new(
                Exit::Usage,
                format!(
                    "`{}` is no absolute path, and the kubelet has another working directory",
                    path.display()
                ),
            )
            .hint("give --config with an absolute path"));
        }
        let _ = writeln!(text, "    args: [\"--config\", {}]", quoted(&path.to_string_lossy()));
    }
    if options.service_accounts {
        let _ =
            writeln!(text, "    tokenAttributes:\n      serviceAccountTokenAudience: {AUDIENCE}");
        if minor >= 34 {
            text += "      cacheType: ServiceAccount\n";
        }
        text += "      requireServiceAccount: true\n      optionalServiceAccountAnnotationKeys:\n";
        let _ = writeln!(text, "        - {ROLE_NAME_ANNOTATION}");
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

/// Patterns for exactly the hosts that the entries cover, each once.
fn patterns(entries: &[Entry]) -> Vec<String> {
    let mut patterns: Vec<String> = Vec::new();
    for entry in entries {
        let region = entry.region.as_ref().map_or("*", |region| region.as_str());
        let more = match &entry.scope {
            Scope::Domains(domains) => domains.clone(),
            Scope::Instances | Scope::Account => vec![
                format!("*.{region}.cr.aliyuncs.com"),
                format!("*.distributed.{region}.cr.aliyuncs.com"),
            ],
            Scope::Personal => ["", "-vpc", "-internal", "-intl", "-intl-vpc", "-intl-internal"]
                .map(|variant| format!("registry{variant}.{region}.aliyuncs.com"))
                .to_vec(),
        };
        patterns.extend(more);
    }
    let mut seen = Vec::new();
    patterns.retain(|pattern| {
        let new = !seen.contains(pattern);
        seen.push(pattern.clone());
        new
    });
    patterns
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
