//! OIDC identity tokens: minted for tests, verified for AssumeRoleWithOIDC.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::Cloud;
use super::entropy;
use super::leaks::SecretKind;
use super::lock;

/// The signing keys of the OIDC providers' issuers, by provider.
#[derive(Default)]
pub(super) struct ProviderKeys(Mutex<BTreeMap<String, Arc<Key>>>);

pub(super) struct Key {
    id: String,
    pair: EcdsaKeyPair,
}

impl Key {
    fn generate() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key can be made");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random)
            .expect("a key that was just made can be read");
        Self { id: entropy::alphanumeric(43), pair }
    }

    fn sign(&self, text: &str) -> Vec<u8> {
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes());
        signature.expect("a P-256 key signs").as_ref().to_vec()
    }
}

impl ProviderKeys {
    pub(super) fn ensure(&self, provider: &str) {
        lock(&self.0).entry(provider.to_owned()).or_insert_with(|| Arc::new(Key::generate()));
    }

    fn of(&self, provider: &str) -> Option<Arc<Key>> {
        lock(&self.0).get(provider).cloned()
    }

    /// The claims of a token that the provider's issuer has really signed.
    pub(super) fn verify(&self, provider: &str, token: &Token) -> bool {
        let Some(key) = self.of(provider) else { return false };
        if token.algorithm != "ES256" || token.key_id != key.id {
            return false;
        }
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.pair.public_key().as_ref())
            .verify(token.signed.as_bytes(), &token.signature)
            .is_ok()
    }
}

/// A JWT, taken apart and not yet verified.
pub(super) struct Token {
    algorithm: String,
    key_id: String,
    /// Header and payload as they were signed.
    signed: String,
    signature: Vec<u8>,
    pub(super) claims: Claims,
}

#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) sub: String,
    #[serde(deserialize_with = "one_or_many")]
    pub(super) aud: Vec<String>,
    pub(super) exp: i64,
    pub(super) iat: i64,
    #[serde(default)]
    pub(super) nbf: Option<i64>,
}

impl Token {
    pub(super) fn parse(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Header {
            alg: String,
            kid: String,
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        Some(Self {
            algorithm: header.alg,
            key_id: header.kid,
            signed: signed.to_owned(),
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
            claims,
        })
    }
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

/// A service account token in the making, as the API server would issue it: good unless a test
/// spoils it. See [`Cloud::service_account_token`].
#[must_use]
pub struct ServiceAccountToken<'a> {
    cloud: &'a Cloud,
    provider: String,
    subject: String,
    issuer: String,
    audience: Vec<String>,
    issued: Timestamp,
    life_seconds: i64,
    more_claims: Vec<(String, Json)>,
    forgery: Option<Forgery>,
}

/// Ways in which a token can be false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// Another key signed, under the right key id.
    ForeignKey,
    /// The payload was changed after signing.
    ChangedPayload,
    /// `"alg": "none"` and no signature.
    Unsigned,
    /// Signed in a way the provider does not use, `"alg": "HS256"`.
    OtherAlgorithm,
}

impl<'a> ServiceAccountToken<'a> {
    /// Panics if the world has no such provider: it is a mistake in the test.
    pub(super) fn new(cloud: &'a Cloud, provider: &str, subject: String) -> Self {
        let world = cloud.backend.world();
        let registered = world.oidc_provider(provider).expect("the world has this OIDC provider");
        Self {
            cloud,
            provider: provider.to_owned(),
            subject,
            issuer: registered.issuer.clone(),
            audience: vec!["sts.aliyuncs.com".to_owned()],
            issued: cloud.now(),
            life_seconds: 3600,
            more_claims: Vec::new(),
            forgery: None,
        }
    }

    pub fn audience(mut self, audience: &str) -> Self {
        self.audience = vec![audience.to_owned()];
        self
    }

    pub fn issuer(mut self, issuer: &str) -> Self {
        self.issuer = issuer.to_owned();
        self
    }

    /// Seconds from its issue to its end.
    pub fn life(mut self, seconds: i64) -> Self {
        self.life_seconds = seconds;
        self
    }

    /// As if made that long ago; with a shorter life it is expired.
    pub fn issued_ago(mut self, seconds: i64) -> Self {
        self.issued = self.cloud.now() - jiff::SignedDuration::from_secs(seconds);
        self
    }

    /// One more claim, or another value for one.
    pub fn claim(mut self, name: &str, value: Json) -> Self {
        self.more_claims.push((name.to_owned(), value));
        self
    }

    pub fn forged(mut self, forgery: Forgery) -> Self {
        self.forgery = Some(forgery);
        self
    }

    /// The token; from now on it is one of the cloud's secrets.
    pub fn mint(self) -> String {
        let backend = &self.cloud.backend;
        let key = backend.provider_keys.of(&self.provider).expect("every provider has a key");
        let algorithm = match self.forgery {
            Some(Forgery::Unsigned) => "none",
            Some(Forgery::OtherAlgorithm) => "HS256",
            _ => "ES256",
        };
        let header = json!({"alg": algorithm, "kid": key.id, "typ": "JWT"});
        let signed = format!("{}.{}", encode(&header), encode(&self.claims()));
        let signature = match self.forgery {
            None | Some(Forgery::OtherAlgorithm | Forgery::ChangedPayload) => key.sign(&signed),
            Some(Forgery::ForeignKey) => Key::generate().sign(&signed),
            Some(Forgery::Unsigned) => Vec::new(),
        };
        let signed = if self.forgery == Some(Forgery::ChangedPayload) {
            let mut claims = self.claims();
            claims["sub"] = json!("system:serviceaccount:kube-system:admin");
            format!("{}.{}", encode(&header), encode(&claims))
        } else {
            signed
        };
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        backend.journal.secrets.add(SecretKind::OidcToken, &self.subject, &token);
        token
    }

    fn claims(&self) -> Json {
        let issued = self.issued.as_second();
        let mut claims = json!({
            "aud": self.audience,
            "exp": issued + self.life_seconds,
            "iat": issued,
            "iss": self.issuer,
            "jti": entropy::request_id().to_lowercase(),
            "nbf": issued,
            "sub": self.subject,
        });
        let words: Vec<&str> = self.subject.split(':').collect();
        if let ["system", "serviceaccount", namespace, name] = words[..] {
            claims["kubernetes.io"] =
                json!({"namespace": namespace, "serviceaccount": {"name": name}});
        }
        for (name, value) in &self.more_claims {
            claims[name] = value.clone();
        }
        claims
    }
}

fn encode(value: &Json) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
