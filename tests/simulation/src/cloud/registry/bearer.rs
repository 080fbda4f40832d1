//! The tokens that the realm gives out, as a registry checks them: JWTs, with the certificate of
//! the key in their header [distribution, spec/auth/jwt].

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rcgen::{CertificateParams, DnType, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value as Json, json};

use super::super::entropy;

const ISSUER: &str = "dockerauth.aliyuncs.com";

/// Seconds.
pub(super) const LIFE: i64 = 300;

pub(in super::super) struct TokenSigner {
    /// What a registry is told to trust.
    pub(in super::super) pem: String,
    /// The same, as it stands in a token's header.
    certificate: String,
    pair: EcdsaKeyPair,
}

/// What one token permits.
pub(super) struct Grant<'a> {
    pub(super) user: &'a str,
    pub(super) service: &'a str,
    /// None where only the login was tried.
    pub(super) repository: Option<&'a str>,
}

impl TokenSigner {
    pub(in super::super) fn new() -> Result<Self, String> {
        Self::make().map_err(|error| format!("the realm's certificate: {error}"))
    }

    fn make() -> Result<Self, Box<dyn std::error::Error>> {
        let key = KeyPair::generate()?;
        let mut certificate = CertificateParams::default();
        certificate.distinguished_name.push(DnType::CommonName, ISSUER);
        let certificate = certificate.self_signed(&key)?;
        let pair = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &key.serialize_der(),
            &SystemRandom::new(),
        )
        .map_err(|error| error.to_string())?;
        Ok(Self { pem: certificate.pem(), certificate: STANDARD.encode(certificate.der()), pair })
    }

    pub(super) fn sign(&self, grant: &Grant<'_>, issued: Timestamp) -> String {
        let issued = issued.as_second();
        let access = grant
            .repository
            .map(|name| json!({"type": "repository", "name": name, "actions": ["pull"]}));
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [self.certificate]});
        let claims = json!({
            "iss": ISSUER,
            "sub": grant.user,
            "aud": grant.service,
            "iat": issued,
            "nbf": issued,
            "exp": issued + LIFE,
            "jti": entropy::request_id().to_lowercase(),
            "access": Vec::from_iter(access),
        });
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.expect("a P-256 key signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn encode(value: &Json) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, KeyPair as _, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_token_is_signed_by_the_key_of_the_certificate_in_it() {
        let signer = TokenSigner::new().unwrap();
        let grant =
            Grant { user: "cr_temp_user", service: "registry:a", repository: Some("team/app") };
        let token = signer.sign(&grant, Timestamp::from_second(1_700_000_000).unwrap());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let parts: Vec<Json> = signed
            .split('.')
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        let certificate = STANDARD.decode(parts[0]["x5c"][0].as_str().unwrap()).unwrap();
        let public = signer.pair.public_key().as_ref();
        assert!(certificate.windows(public.len()).any(|part| part == public));
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
        assert!(key.verify(signed.as_bytes(), &signature).is_ok());
        assert_eq!(
            (&parts[1]["nbf"], &parts[1]["exp"]),
            (&json!(1_700_000_000), &json!(1_700_000_300))
        );
        assert_eq!(parts[1]["aud"], "registry:a");
    }
}
