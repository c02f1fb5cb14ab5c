//! User tokens: JWTs that an application makes for its own users.

use eyeline_core::text::check_text;
use eyeline_core::{ApplicationId, Tier, Timestamp};
use eyeline_store::catalog::applications::Application;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::applications::SIGNING_SECRET;
use super::{Answer, Credential, Problem};
use crate::app::App;

const USER_CHARS_MAX: usize = 255;

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    tier: Tier,
    /// Seconds since 1970.
    exp: i64,
    nbf: Option<i64>,
}

/// Checks a token: the header's `kid` names the application, whose key fixes the algorithm (whatever `alg` says), and
/// `aud` has to be its project.
pub(super) async fn verify(token: &str, app: &App) -> Answer<Credential> {
    let refused = |why: &str| Problem::unauthorized(format!("This user token is refused: {why}."));
    let header = jsonwebtoken::decode_header(token).map_err(|_| refused("it is neither a key nor a JWT"))?;
    let application_id: Option<ApplicationId> = header.kid.and_then(|kid| kid.parse().ok());
    let application_id = application_id.ok_or_else(|| refused("its header needs kid, the application_id"))?;
    let application = app.credentials.application(application_id).await?;
    let application = application.ok_or_else(|| refused("its kid is no known application"))?;
    let (algorithm, key) = verifying_key(&application, app).ok_or_else(|| {
        tracing::error!(application.id = %application_id, "the signing secret cannot be decrypted: was EYELINE_SECRET changed?");
        refused("its application's key cannot be read")
    })?;

    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[application.project_id.to_string()]);
    validation.set_required_spec_claims(&["exp", "aud", "sub"]);
    // Compared below with the product's clock, which a test may set.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation)
        .map_err(|error| refused(&format!("{error} (kid, {algorithm:?}, aud, exp, sub and tier are checked)")))?
        .claims;
    let at = |seconds: i64| Timestamp::from_micros(seconds.saturating_mul(1_000_000));
    let now = app.clock.now();
    if at(claims.exp) <= now {
        return Err(refused("it has expired"));
    }
    if claims.nbf.is_some_and(|seconds| at(seconds) > now) {
        return Err(refused("it is not valid yet"));
    }
    check_text(&claims.sub, USER_CHARS_MAX).map_err(|_| refused("its sub has to be 1 to 255 characters"))?;
    Ok(Credential::User { application_id, project_id: application.project_id, user_id: claims.sub, tier: claims.tier })
}

fn verifying_key(application: &Application, app: &App) -> Option<(Algorithm, DecodingKey)> {
    if let Some(public_key) = &application.ed25519_public_key {
        return Some((Algorithm::EdDSA, DecodingKey::from_ed_components(public_key).ok()?));
    }
    let secret = app.secrets.decrypt(SIGNING_SECRET, &application.signing_secret)?;
    Some((Algorithm::HS256, DecodingKey::from_secret(&secret)))
}
