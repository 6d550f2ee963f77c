//! Where a server is, and the URLs that follow from it.

use std::time::Duration;

use scenehost_protocol::v1;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::http::uri::{Authority, Scheme};

use crate::{Error, Match};

/// Scheme and host of a server's URLs.
#[derive(Clone)]
pub(crate) struct ServerAddress {
    scheme: Scheme,
    authority: Authority,
}

impl ServerAddress {
    pub fn parse(url: &str) -> Result<Self, Error> {
        let uri: Uri = url.parse().map_err(|_| Error::Url(url.to_owned()))?;
        match (uri.scheme(), uri.authority(), uri.path()) {
            (Some(scheme), Some(authority), "" | "/") => {
                Ok(Self { scheme: scheme.clone(), authority: authority.clone() })
            }
            _ => Err(Error::Url(url.to_owned())),
        }
    }

    pub fn scheme(&self) -> &str {
        self.scheme.as_str()
    }

    /// The URL of a connection.
    pub fn url(&self, path: &str) -> Result<Uri, Error> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .map_err(|_| Error::Url(format!("{}://{}{path}", self.scheme, self.authority)))
    }

    /// The URL of an HTTP call.
    pub fn http_url(&self, path: &str) -> String {
        let scheme = if self.scheme() == "wss" { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.authority)
    }

    /// The whole URL of a scene, which may be given as a path on this host.
    pub fn resolve_path(&self, scene_url: &str) -> Result<String, Error> {
        match scene_url.starts_with('/') {
            true => Ok(self.url(scene_url)?.to_string()),
            false => Ok(scene_url.to_owned()),
        }
    }

    /// A match with the scene's whole URL, which may be given as a path on this host.
    pub fn resolve(&self, made: &v1::ResMatch) -> Result<Match, Error> {
        let scene_url = self.resolve_path(&made.scene_url)?;
        Ok(Match {
            scene_id: made.scene_id.clone(),
            domain: made.domain.clone(),
            scene_url,
            scene_token: made.scene_token.clone(),
            token_expires_in: Duration::from_millis(made.token_expires_in_ms.into()),
        })
    }
}
