//! The next pair of a session's tokens, by an HTTP call.
//!
//! Invariant: asking again is safe. The server keeps the old pair until the new one is used.

use std::time::Duration;

use reqwest::redirect;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use scenehost_protocol::v1;

use crate::Error;
use crate::address::ServerAddress;
use crate::door::Door;
use crate::error::retry_after;

const REFRESH_PATH: &str = "/v1/auth/refresh";
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Asks for the next pair.
pub(crate) async fn refresh(server: &ServerAddress, refresh_token: &str, door: &Door) -> Result<v1::ResSignIn, Error> {
    let url = server.http_url(REFRESH_PATH);
    let failed_until = |source, retry_after| Error::Refresh { url: url.clone(), retry_after, source: Box::new(source) };
    let failed = |source| failed_until(source, Duration::ZERO);
    let tls = match &door.tls {
        Some(tls) => ClientConfig::clone(tls),
        None => trusts_nobody()?,
    };
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .timeout(door.options.request_timeout)
        .build()
        .map_err(failed)?;
    let body = serde_json::to_vec(&v1::ReqRefresh { refresh_token: refresh_token.to_owned() });
    let body = body.map_err(|_| Error::Unexpected)?;
    let call = client.post(&url).header("content-type", "application/json").body(body);
    let mut response = call.send().await.map_err(failed)?;
    let status = response.error_for_status_ref().map(|_| ());
    let retry_after = retry_after(response.headers());
    let mut answer = Vec::new();
    while let Some(part) = response.chunk().await.map_err(failed)? {
        if answer.len() + part.len() > ANSWER_BYTES_MAX {
            return Err(Error::Unexpected);
        }
        answer.extend_from_slice(&part);
    }
    match status {
        Ok(()) => serde_json::from_slice(&answer).map_err(|_| Error::Unexpected),
        // Something else than the server, such as a proxy, has words of its own.
        Err(status) => {
            let refused = serde_json::from_slice(&answer).ok();
            let refused = refused.filter(|refused: &v1::Refused| refused.code() != v1::Code::Unspecified);
            Err(refused.map_or_else(|| failed_until(status, retry_after), Error::Refused))
        }
    }
}

/// For a call without TLS, which then needs no roots either.
fn trusts_nobody() -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().map_err(Error::Tls)?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}
