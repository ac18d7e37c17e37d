//! Where a provider lists its models, and how often it is asked.

use std::time::Duration;

use axum::http::Uri;

use super::effective::Row;
use super::file::Discovery;
use super::units::Span;
use crate::provider::{Endpoint, ModelList};
use crate::upstream::base::BaseUrl;

/// How often a provider is asked.
const FAR: Duration = Duration::from_mins(5);
/// The same of a server on this machine or in a private network, which may come and go.
const NEAR: Duration = Duration::from_secs(30);
/// The least that can be set.
const LEAST: Duration = Duration::from_millis(100);

/// How often a provider at this base URL is asked, if nothing else is said.
pub fn default_period(base_url: Option<&str>) -> Span {
    let base = base_url.and_then(|url| BaseUrl::parse(url, "").ok());
    Span(if base.is_some_and(|base| base.is_near()) {
        NEAR
    } else {
        FAR
    })
}

/// What the settings and the catalog's row say of a provider with these addresses, or the setting that is wrong and why.
pub fn model_list(
    settings: &Discovery,
    row: &Row,
    endpoints: &[Endpoint],
) -> Result<ModelList, (&'static str, String)> {
    let own = endpoints.first().map(|endpoint| &endpoint.base);
    let every = settings.every.map_or(FAR, |every| every.0);
    if every < LEAST {
        return Err(("every", format!("must be at least {LEAST:?}")));
    }
    let (base, path) = match &settings.url {
        Some(url) => place(url, own).map_err(|message| ("url", message))?,
        None => (None, known_path(row, own)),
    };
    Ok(ModelList {
        shape: settings.shape.unwrap_or_else(|| row.known.discovery()),
        base,
        path,
        every,
    })
}

/// Where the catalog says that the list is. Its path begins at the root of the row's own host; behind another base URL it
/// begins where that has what the row's has not.
fn known_path(row: &Row, own: Option<&BaseUrl>) -> Option<String> {
    let path = row.known.models_url.as_ref()?;
    let home = row.known.base_url.as_deref();
    let home = home.and_then(|home| BaseUrl::parse(home, "").ok());
    let prefix = own
        .zip(home)
        .and_then(|(own, home)| own.path.strip_suffix(home.path.as_str()));
    Some(format!("{}{path}", prefix.unwrap_or_default()))
}

/// A path from the root of the host, or a URL: then also its host, if that is another one.
fn place(url: &str, own: Option<&BaseUrl>) -> Result<(Option<BaseUrl>, Option<String>), String> {
    let wrong = || format!("`{url}` is neither a path such as /v1/models nor a URL");
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let path = uri.path_and_query().ok_or_else(wrong)?.to_string();
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return if path.starts_with('/') {
            Ok((None, Some(path)))
        } else {
            Err(wrong())
        };
    };
    let host = BaseUrl::parse(&format!("{scheme}://{authority}"), "")?;
    let same = own.is_some_and(|own| (&own.scheme, &own.authority) == (&host.scheme, &host.authority));
    Ok((Some(host).filter(|_| !same), Some(path)))
}
