//! Verifies that a provider has signed a token for us, and that it is valid now. `jsonwebtoken`
//! parses the token and its claims; `ring` verifies signatures, as for TLS.

use std::time::Duration;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, new_error};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey, Validation};
use jsonwebtoken::{decode, decode_header};
use ring::signature as by;
use serde_json::Value;

/// The most bytes of a token.
pub(crate) const LONGEST: usize = 16 << 10;
/// Tolerance for different clocks.
const LEEWAY: Duration = Duration::from_secs(30);
/// No algorithms with a shared secret, and none without a signature.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Untrue {
    /// It was signed with none of the known keys: the provider may have new ones.
    Key,
    /// It is invalid; a short reason.
    Token(String),
}

fn untrue(why: impl Into<String>) -> Untrue {
    Untrue::Token(why.into())
}

/// The claims of this issuer's token for this audience.
pub(crate) fn claims(
    token: &str,
    keys: &JwkSet,
    (issuer, audience): (&str, &str),
) -> Result<Value, Untrue> {
    install();
    if token.len() > LONGEST {
        return Err(untrue("it is too long"));
    }
    let header = decode_header(token).map_err(|error| untrue(reason(&error)))?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(untrue(format!(
            "it is signed by `{:?}`, which is not accepted",
            header.alg
        )));
    }
    let key = key(keys, header.kid.as_deref(), header.alg).ok_or(Untrue::Key)?;
    let key = DecodingKey::from_jwk(key).map_err(|error| untrue(reason(&error)))?;
    let mut rules = Validation::new(header.alg);
    rules.leeway = LEEWAY.as_secs();
    rules.validate_nbf = true;
    rules.set_audience(&[audience]);
    rules.set_issuer(&[issuer]);
    rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let decoded = decode::<Value>(token, &key, &rules);
    let claims = decoded.map_err(|error| untrue(reason(&error)))?.claims;
    // With several audiences, a separate claim names the one that it was made for.
    let several = claims["aud"].as_array().is_some_and(|all| all.len() > 1);
    if (several || claims.get("azp").is_some()) && claims["azp"] != audience {
        return Err(untrue("it was made for another client"));
    }
    Ok(claims)
}

/// The key with this name. If the token names none, the only key of its type.
fn key<'a>(keys: &'a JwkSet, name: Option<&str>, algorithm: Algorithm) -> Option<&'a Jwk> {
    let mut fitting = keys.keys.iter().filter(|key| fits(key, algorithm));
    match name {
        Some(name) => fitting.find(|key| key.common.key_id.as_deref() == Some(name)),
        None => fitting.next().filter(|_| fitting.next().is_none()),
    }
}

fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm::{ES256, ES384, EdDSA};
    let kind = match &key.algorithm {
        AlgorithmParameters::RSA(_) => !matches!(algorithm, ES256 | ES384 | EdDSA),
        AlgorithmParameters::EllipticCurve(_) => matches!(algorithm, ES256 | ES384),
        AlgorithmParameters::OctetKeyPair(_) => algorithm == EdDSA,
        // A published secret is not a secret.
        _ => false,
    };
    let signs = !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption));
    let named = key.common.key_algorithm.as_ref();
    let same = named.is_none_or(|named| named.to_string() == format!("{algorithm:?}"));
    kind && signs && same
}

fn reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ExpiredSignature => "it has expired".to_owned(),
        ErrorKind::ImmatureSignature => "it is not valid yet".to_owned(),
        ErrorKind::InvalidAudience => "it was made for somebody else".to_owned(),
        ErrorKind::InvalidIssuer => "it is from another issuer".to_owned(),
        ErrorKind::InvalidSignature => "its signature is wrong".to_owned(),
        ErrorKind::MissingRequiredClaim(name) => format!("it has no `{name}`"),
        _ => "it cannot be read".to_owned(),
    }
}

fn install() {
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: |_, _: &EncodingKey| -> Result<Box<dyn JwtSigner>, Error> {
            Err(new_error(ErrorKind::InvalidAlgorithm))
        },
        verifier_factory: |algorithm, key| -> Result<Box<dyn JwtVerifier>, Error> {
            Ok(Box::new(ByRing {
                algorithm: *algorithm,
                key: key.clone(),
            }))
        },
        key_utils: KeyUtils::new_unimplemented(),
    };
    // This function has already installed it.
    let _ = PROVIDER.install_default();
}

struct ByRing {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtVerifier for ByRing {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for ByRing {
    fn verify(&self, message: &[u8], signed: &Vec<u8>) -> Result<(), signature::Error> {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        let wrong = |_| signature::Error::new();
        let rsa = match self.algorithm {
            RS256 => Some(&by::RSA_PKCS1_2048_8192_SHA256),
            RS384 => Some(&by::RSA_PKCS1_2048_8192_SHA384),
            RS512 => Some(&by::RSA_PKCS1_2048_8192_SHA512),
            PS256 => Some(&by::RSA_PSS_2048_8192_SHA256),
            PS384 => Some(&by::RSA_PSS_2048_8192_SHA384),
            PS512 => Some(&by::RSA_PSS_2048_8192_SHA512),
            _ => None,
        };
        if let Some(rsa) = rsa {
            let DecodingKeyKind::RsaModulusExponent { n, e } = self.key.kind() else {
                return Err(signature::Error::new());
            };
            let key = by::RsaPublicKeyComponents { n, e };
            return key.verify(rsa, message, signed).map_err(wrong);
        }
        let other: &dyn by::VerificationAlgorithm = match self.algorithm {
            ES256 => &by::ECDSA_P256_SHA256_FIXED,
            ES384 => &by::ECDSA_P384_SHA384_FIXED,
            EdDSA => &by::ED25519,
            _ => return Err(signature::Error::new()),
        };
        let DecodingKeyKind::SecretOrDer(bytes) = self.key.kind() else {
            return Err(signature::Error::new());
        };
        let key = by::UnparsedPublicKey::new(other, bytes);
        key.verify(message, signed).map_err(wrong)
    }
}
