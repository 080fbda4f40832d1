//! A configuration file as written: its format, its type, and strictly its fields.

use super::super::duration::GoDuration;
use super::super::json::{self, Node};
use super::super::strict::{Fields, Rule, Violation};
use super::super::type_meta::TypeMeta;
use super::Kubelet;

/// A provider whose fields have the right types; what may be absent in a file is optional here.
#[derive(Debug)]
pub(super) struct WrittenProvider {
    pub name: String,
    pub match_images: Vec<String>,
    pub default_cache_duration: Option<GoDuration>,
    pub api_version: String,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    pub token_attributes: Option<WrittenTokenAttributes>,
}

#[derive(Debug)]
pub(super) struct WrittenTokenAttributes {
    pub audience: String,
    pub cache_type: String,
    pub require_service_account: Option<bool>,
    pub required_annotation_keys: Vec<String>,
    pub optional_annotation_keys: Vec<String>,
}

pub(super) fn read(text: &str, kubelet: Kubelet) -> Result<Vec<WrittenProvider>, String> {
    let document = parse(text)?;
    let meta = TypeMeta::interpret(&document).map_err(str::to_owned)?;
    let version = ConfigVersion::of(&meta, kubelet)?;
    read_providers(document, version, kubelet).map_err(|violation| describe(&violation))
}

/// The versions of the configuration's type.
#[derive(Clone, Copy, PartialEq)]
enum ConfigVersion {
    V1alpha1,
    V1beta1,
    V1,
}

impl ConfigVersion {
    fn of(meta: &TypeMeta, kubelet: Kubelet) -> Result<Self, String> {
        let TypeMeta { api_version, kind } = meta;
        if kind.is_empty() {
            return Err("Object 'Kind' is missing".to_owned());
        }
        if api_version.is_empty() {
            return Err("Object 'apiVersion' is missing".to_owned());
        }
        let (version, since) = match api_version.as_str() {
            "kubelet.config.k8s.io/v1alpha1" => (Self::V1alpha1, 20),
            "kubelet.config.k8s.io/v1beta1" => (Self::V1beta1, 24),
            "kubelet.config.k8s.io/v1" => (Self::V1, 26),
            _ => (Self::V1, u32::MAX),
        };
        if kind != "CredentialProviderConfig" || kubelet.minor < since {
            return Err(format!("no kind {kind:?} is registered for version {api_version:?}"));
        }
        Ok(version)
    }
}

/// A text that begins with a brace is JSON to the kubelet's codecs, everything else YAML.
///
/// A second YAML document is refused. The kubelet's parser reads the first and stops there, so
/// whatever follows would be lost without a word.
fn parse(text: &str) -> Result<Node, String> {
    if text.trim_start().starts_with('{') {
        return json::read(text.as_bytes()).map_err(|error| error.to_string());
    }
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

fn read_providers(
    document: Node,
    version: ConfigVersion,
    kubelet: Kubelet,
) -> Result<Vec<WrittenProvider>, Violation> {
    let mut fields = Fields::of(document, "")?;
    fields.string("apiVersion")?;
    fields.string("kind")?;
    let providers = fields.objects("providers")?;
    fields.end()?;
    let has_token_attributes = version == ConfigVersion::V1 && kubelet.minor >= 33;
    let read = |fields| read_provider(fields, has_token_attributes, kubelet);
    providers.into_iter().map(read).collect()
}

fn read_provider(
    mut fields: Fields,
    has_token_attributes: bool,
    kubelet: Kubelet,
) -> Result<WrittenProvider, Violation> {
    let token_attributes =
        if has_token_attributes { fields.object("tokenAttributes")? } else { None };
    let env = fields.objects("env")?.into_iter().map(read_variable);
    let provider = WrittenProvider {
        name: fields.string("name")?.unwrap_or_default(),
        match_images: fields.strings("matchImages")?,
        default_cache_duration: fields.duration("defaultCacheDuration")?,
        api_version: fields.string("apiVersion")?.unwrap_or_default(),
        args: fields.strings("args")?,
        env: env.collect::<Result<_, _>>()?,
        token_attributes: token_attributes
            .map(|fields| read_token_attributes(fields, kubelet))
            .transpose()?,
    };
    fields.end()?;
    Ok(provider)
}

fn read_variable(mut fields: Fields) -> Result<(String, String), Violation> {
    let name = fields.string("name")?.unwrap_or_default();
    let value = fields.string("value")?.unwrap_or_default();
    fields.end()?;
    Ok((name, value))
}

fn read_token_attributes(
    mut fields: Fields,
    kubelet: Kubelet,
) -> Result<WrittenTokenAttributes, Violation> {
    let cache_type = if kubelet.minor >= 34 { fields.string("cacheType")? } else { None };
    let attributes = WrittenTokenAttributes {
        audience: fields.string("serviceAccountTokenAudience")?.unwrap_or_default(),
        cache_type: cache_type.unwrap_or_default(),
        require_service_account: fields.boolean("requireServiceAccount")?,
        required_annotation_keys: fields.strings("requiredServiceAccountAnnotationKeys")?,
        optional_annotation_keys: fields.strings("optionalServiceAccountAnnotationKeys")?,
    };
    fields.end()?;
    Ok(attributes)
}

fn describe(Violation { rule, path, key }: &Violation) -> String {
    let problem = match rule {
        Rule::UnknownField => "unknown field",
        Rule::RepeatedKey => "field set more than once",
        Rule::WrongType => "value of the wrong type",
        Rule::NotADuration => "not a duration",
        Rule::MissingKind | Rule::OtherKind | Rule::UnknownVersion => "wrong type of document",
    };
    let separator = if path.is_empty() || key.is_none() { "" } else { "." };
    format!("strict decoding error: {problem} {path}{separator}{}", key.as_deref().unwrap_or(""))
}
