//! Data URIs and media types.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

use crate::ir::Media;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// Decodes base64 of either alphabet, with or without padding, with or without line breaks.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let plain: String = text
        .chars()
        .filter(|letter| !letter.is_ascii_whitespace())
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    GeneralPurpose::new(&alphabet::STANDARD, LENIENT).decode(plain).ok()
}

/// Base64 of any kind as standard base64 with padding; `None` when it is not base64. What is that already is only checked
/// by its letters and its length.
pub fn standard_base64(text: &str) -> Option<String> {
    let body = text.trim_end_matches('=');
    let is_standard = text.len().is_multiple_of(4)
        && text.len() - body.len() <= 2
        && body
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/');
    if is_standard {
        return Some(text.to_owned());
    }
    decode_base64(text).map(|bytes| STANDARD.encode(bytes))
}

/// Reads an address that may be a data URI (RFC 2397, in any case, base64 of any kind, the media type may be missing).
/// `None` when it is a data URI that cannot be read.
pub fn read_url(url: &str) -> Option<Media> {
    if !url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
        return Some(Media::Url {
            url: url.to_owned(),
            mime: None,
        });
    }
    let (head, data) = url[5..].split_once(',')?;
    let mut parameters = head.split(';').map(str::trim);
    let mime = parameters
        .next()
        .filter(|mime| !mime.is_empty())
        .map(str::to_ascii_lowercase);
    if !parameters.any(|parameter| parameter.eq_ignore_ascii_case("base64")) {
        return None;
    }
    data_of(mime, data, None)
}

/// Bytes in base64 of any kind as media. The media type is that of the bytes where they tell it, since providers refuse
/// a wrong one.
pub fn data_of(mime: Option<String>, data: &str, filename: Option<String>) -> Option<Media> {
    let data = standard_base64(data)?;
    let mime = sniffed(&data).map(str::to_owned).or(mime.map(normal_mime));
    Some(Media::Data { mime, data, filename })
}

fn normal_mime(mime: String) -> String {
    match mime.as_str() {
        "image/jpg" | "image/pjpeg" => "image/jpeg".to_owned(),
        _ => mime,
    }
}

/// The media type that the first bytes tell, for pictures and PDF.
fn sniffed(data: &str) -> Option<&'static str> {
    let head = STANDARD.decode(data.get(..16)?).ok()?;
    match head.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => Some("image/webp"),
        [b'%', b'P', b'D', b'F', ..] => Some("application/pdf"),
        _ => None,
    }
}

impl Media {
    /// The media as an address: itself, or a data URI. `None` for text and for files in a provider's store.
    pub fn to_url(&self, default_mime: &str) -> Option<String> {
        match self {
            Self::Url { url, .. } => Some(url.clone()),
            Self::Data { mime, data, .. } => {
                let mime = mime.as_deref().unwrap_or(default_mime);
                Some(format!("data:{mime};base64,{data}"))
            }
            Self::File { .. } | Self::Text { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(url: &str) -> Option<(Option<String>, String)> {
        match read_url(url)? {
            Media::Data { mime, data, .. } => Some((mime, data)),
            _ => None,
        }
    }

    #[test]
    fn data_uris_of_all_kinds_are_read() {
        let png = "iVBORw0KGgo=";
        assert_eq!(
            data(&format!("data:image/png;base64,{png}")).unwrap().0.unwrap(),
            "image/png"
        );
        assert_eq!(
            data("DATA:image/JPG;charset=x;BASE64,__79").unwrap(),
            (Some("image/jpeg".into()), "//79".into())
        );
        assert_eq!(data("data:;base64,YQ").unwrap(), (None, "YQ==".into()));
        assert_eq!(data("data:image/png,plain"), None);
        assert_eq!(data("data:image/png;base64,%%%"), None);
        assert!(matches!(read_url("https://a/b.png"), Some(Media::Url { .. })));
    }

    #[test]
    fn the_bytes_know_their_type_better_than_the_label() {
        let png = STANDARD.encode([0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 0, 0, 13]);
        let media = data_of(Some("image/jpeg".into()), &png, None).unwrap();
        assert_eq!(
            media.to_url("image/png").unwrap(),
            format!("data:image/png;base64,{png}")
        );
    }
}
