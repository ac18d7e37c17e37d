//! Where a provider lists its models, and how often it is asked.

use std::time::Duration;

use axum::http::Uri;
use indexmap::IndexMap;

use super::effective::Row;
use super::file::{self, Discovery};
use super::problem::did_you_mean;
use super::units::Span;
use crate::known;
use crate::provider::{Endpoint, ModelList, Selection};
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
    let patterns = |patterns: &[String]| patterns.iter().map(|pattern| pattern.to_lowercase()).collect();
    Ok(ModelList {
        shape: shape(settings, row),
        base,
        path,
        every,
        from: settings.from.clone(),
        selection: Selection {
            families: patterns(&settings.families),
            handles: patterns(&settings.handles),
        },
        hidden: patterns(&settings.hide),
    })
}

/// The shape of a provider's list.
pub fn shape(settings: &Discovery, row: &Row) -> known::Discovery {
    settings.shape.unwrap_or_else(|| row.known.discovery())
}

/// What is wrong with the provider whose list shall be taken.
pub fn wrong_source(name: &str, from: &str, providers: &IndexMap<String, file::Provider>) -> Option<String> {
    let Some(source) = providers.get(from) else {
        let hint = did_you_mean(from, providers.keys().map(String::as_str));
        return Some(format!("there is no provider `{from}`{hint}"));
    };
    match () {
        () if name == from => Some("must be another provider".to_owned()),
        () if source.discovery.from.is_some() => {
            Some(format!("`{from}` has no list of its own; name the provider that has"))
        }
        () if source.models.is_some() || source.discovery.shape == Some(known::Discovery::None) => {
            Some(format!("`{from}` is not asked for its list"))
        }
        () => None,
    }
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
