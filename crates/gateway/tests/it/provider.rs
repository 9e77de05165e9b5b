//! ! An identity provider on a loopback address: discovery, keys, code with PKCE, the device flow.
//! It makes the checks that a provider must make; a test can falsify its tokens.

use std::collections::{HashMap, HashSet};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

pub const CLIENT: &str = "opsbook";
pub const SECRET: &str = "s3cret of the client: +&%";

type Twist = Box<dyn Fn(&Provider, Value) -> String + Send + Sync>;

pub struct Provider {
    pub issuer: String,
    state: Mutex<Seen>,
    twist: Mutex<Option<Twist>>,
}

#[derive(Default)]
struct Seen {
    redirects: HashSet<String>,
    /// The requests, by their code.
    codes: HashMap<String, HashMap<String, String>>,
    /// The person's confirmation, by the device code.
    devices: HashMap<String, Option<bool>>,
    /// Whether the provider has changed its keys.
    turned: bool,
    /// The number of requests for the keys.
    asked: usize,
}

fn rsa(number: usize) -> &'static RsaKeyPair {
    static KEYS: [OnceLock<RsaKeyPair>; 2] = [OnceLock::new(), OnceLock::new()];
    KEYS[number].get_or_init(|| {
        let made = Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA"])
            .output()
            .unwrap();
        let key = PrivateKeyDer::from_pem_slice(&made.stdout).unwrap();
        RsaKeyPair::from_pkcs8(key.secret_der()).unwrap()
    })
}

fn ec() -> &'static EcdsaKeyPair {
    static KEY: OnceLock<EcdsaKeyPair> = OnceLock::new();
    KEY.get_or_init(|| {
        let (way, chance) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let made = EcdsaKeyPair::generate_pkcs8(way, &chance).unwrap();
        EcdsaKeyPair::from_pkcs8(way, made.as_ref(), &chance).unwrap()
    })
}

pub fn url64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn begun(header: &Value, claims: &Value) -> String {
    format!(
        "{}.{}",
        url64(header.to_string()),
        url64(claims.to_string())
    )
}

/// Returns a token signed with one of the two keys; the provider publishes the first one.
pub fn rs256(number: usize, name: &str, claims: &Value) -> String {
    let text = begun(&json!({"alg": "RS256", "typ": "JWT", "kid": name}), claims);
    let key = rsa(number);
    let mut signed = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signed,
    )
    .unwrap();
    format!("{text}.{}", url64(signed))
}

pub fn es256(claims: &Value) -> String {
    let text = begun(&json!({"alg": "ES256", "kid": "e"}), claims);
    let signed = ec().sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    format!("{text}.{}", url64(signed))
}

/// Returns a token without a signature.
pub fn none(algorithm: &str, claims: &Value) -> String {
    format!("{}.", begun(&json!({"alg": algorithm, "kid": "1"}), claims))
}

pub fn hs256(secret: &[u8], claims: &Value) -> String {
    let text = begun(&json!({"alg": "HS256", "kid": "1"}), claims);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    format!("{text}.{}", url64(ring::hmac::sign(&key, text.as_bytes())))
}

/// The public half of the published key, as input of an algorithm-confusion attack.
pub fn public() -> Vec<u8> {
    rsa(0).public().as_ref().to_vec()
}

pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs().try_into().unwrap()
}

fn new() -> String {
    opsbook_gateway::token::new_token()
}

impl Provider {
    pub async fn start() -> Arc<Provider> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let provider = Arc::new(Provider {
            issuer,
            state: Mutex::default(),
            twist: Mutex::default(),
        });
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(about))
            .route("/jwks", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/device", post(device))
            .with_state(Arc::clone(&provider));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        provider
    }

    /// The section `[login.oidc]` of a gateway.
    pub fn config(&self, secret: &std::path::Path) -> String {
        format!(
            "[login.oidc]\nissuer = \"{}\"\nclient = \"{CLIENT}\"\nsecret = {{file = \"{}\"}}\n\
             person = \"preferred_username\"\ngroups = \"groups\"\n",
            self.issuer,
            secret.display()
        )
    }

    /// Registers a gateway's redirect address.
    pub fn knows(&self, gateway: &str) {
        let mut state = self.state.lock().unwrap();
        state
            .redirects
            .insert(format!("{gateway}/login/oidc/callback"));
    }

    /// Changes all later tokens.
    pub fn twist(&self, twist: impl Fn(&Provider, Value) -> String + Send + Sync + 'static) {
        *self.twist.lock().unwrap() = Some(Box::new(twist));
    }

    pub fn straight(&self) {
        *self.twist.lock().unwrap() = None;
    }

    /// Records the person's decision.
    pub fn confirm(&self, yes: bool) {
        let mut state = self.state.lock().unwrap();
        state
            .devices
            .values_mut()
            .for_each(|device| *device = Some(yes));
    }

    /// Gives its first key another name.
    pub fn turn(&self) {
        self.state.lock().unwrap().turned = true;
    }

    pub fn asked(&self) -> usize {
        self.state.lock().unwrap().asked
    }

    pub fn claims(&self, more: Value) -> Value {
        let mut claims = json!({
            "iss": self.issuer, "aud": CLIENT, "sub": "u-1", "exp": now() + 300, "iat": now(),
            "preferred_username": "ana", "groups": ["oncall", "a b", 7],
        });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    fn id_token(&self, more: Value) -> String {
        let claims = self.claims(more);
        match &*self.twist.lock().unwrap() {
            Some(twist) => twist(self, claims),
            None => rs256(0, "1", &claims),
        }
    }
}

type At = State<Arc<Provider>>;

async fn about(State(provider): At) -> axum::Json<Value> {
    let at = |path: &str| format!("{}{path}", provider.issuer);
    axum::Json(json!({
        "issuer": provider.issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "jwks_uri": at("/jwks"),
        "device_authorization_endpoint": at("/device"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}

async fn keys(State(provider): At) -> axum::Json<Value> {
    let mut state = provider.state.lock().unwrap();
    state.asked += 1;
    let name = if state.turned { "turned" } else { "1" };
    let parts = PublicKeyComponents::<Vec<u8>>::from(rsa(0).public());
    let point = ec().public_key().as_ref();
    axum::Json(json!({"keys": [
        {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": name, "n": url64(parts.n), "e": url64(parts.e)},
        {"kty": "EC", "crv": "P-256", "kid": "e", "x": url64(&point[1..33]), "y": url64(&point[33..])},
        {"kty": "oct", "kid": "s", "k": url64("known to everybody")},
        {"kty": "RSA", "use": "enc", "kid": "enc", "n": url64(PublicKeyComponents::<Vec<u8>>::from(rsa(1).public()).n), "e": "AQAB"},
    ]}))
}

async fn authorize(State(provider): At, Query(asked): Query<HashMap<String, String>>) -> Response {
    let mut state = provider.state.lock().unwrap();
    let is = |name: &str, value: &str| asked.get(name).is_some_and(|have| have == value);
    let redirect = asked.get("redirect_uri").cloned().unwrap_or_default();
    // The provider redirects nobody to an unknown address.
    if !is("client_id", CLIENT) || !state.redirects.contains(&redirect) {
        return (StatusCode::BAD_REQUEST, "who is that?").into_response();
    }
    let openid = asked["scope"].split(' ').any(|scope| scope == "openid");
    assert!(openid && is("response_type", "code") && is("code_challenge_method", "S256"));
    let code = new();
    let place = format!(
        "{redirect}?code={code}&state={}&iss={}",
        asked["state"], provider.issuer
    );
    state.codes.insert(code, asked.clone());
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}

/// Checks the client's name and secret, in the form of RFC 6749.
fn is_client(headers: &HeaderMap) -> bool {
    let sent = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let sent = sent.and_then(|value| value.strip_prefix("Basic "));
    let sent = sent.and_then(|value| STANDARD.decode(value).ok());
    let right = format!("{CLIENT}:s3cret%20of%20the%20client%3A%20%2B%26%25");
    sent.is_some_and(|sent| sent == right.as_bytes())
}

fn no(error: &str) -> Response {
    (StatusCode::BAD_REQUEST, axum::Json(json!({"error": error}))).into_response()
}

async fn token(
    State(provider): At,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    if !is_client(&headers) {
        return no("invalid_client");
    }
    let more = match form["grant_type"].as_str() {
        "authorization_code" => {
            // Each code works once.
            let asked = provider.state.lock().unwrap().codes.remove(&form["code"]);
            let Some(asked) = asked else {
                return no("invalid_grant");
            };
            let sum = ring::digest::digest(&ring::digest::SHA256, form["code_verifier"].as_bytes());
            if url64(sum) != asked["code_challenge"]
                || form["redirect_uri"] != asked["redirect_uri"]
            {
                return no("invalid_grant");
            }
            json!({"nonce": asked["nonce"]})
        }
        _ => match provider
            .state
            .lock()
            .unwrap()
            .devices
            .get(&form["device_code"])
        {
            None => return no("expired_token"),
            Some(None) => return no("authorization_pending"),
            Some(Some(false)) => return no("access_denied"),
            Some(Some(true)) => json!({}),
        },
    };
    let answer =
        json!({"access_token": new(), "token_type": "Bearer", "id_token": provider.id_token(more)});
    axum::Json(answer).into_response()
}

async fn device(State(provider): At, headers: HeaderMap) -> Response {
    if !is_client(&headers) {
        return no("invalid_client");
    }
    let code = new();
    provider
        .state
        .lock()
        .unwrap()
        .devices
        .insert(code.clone(), None);
    axum::Json(json!({
        "device_code": code, "user_code": "WDJB-MJHT", "expires_in": 600, "interval": 1,
        "verification_uri": format!("{}/confirm", provider.issuer),
    }))
    .into_response()
}
