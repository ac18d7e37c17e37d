//! Reading `multipart/form-data`.

use bytes::Bytes;

/// One part of a form.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) file_name: Option<String>,
    pub(crate) content: Bytes,
}

impl Part {
    /// The content as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }
}

/// The parts of `body`; `None` if `content_type` is not that of a form, or the body has no such boundary.
pub(crate) fn parse(content_type: &str, body: &Bytes) -> Option<Vec<Part>> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let delimiter = format!("--{}", parameter(parameters, "boundary")?);
    let mut position = find(body, delimiter.as_bytes(), 0)? + delimiter.len();
    let mut parts = Vec::new();
    while body[position..].starts_with(b"\r\n") {
        let start = position + 2;
        let end = find(body, format!("\r\n{delimiter}").as_bytes(), start - 2)?;
        parts.extend(part(&body.slice(start.min(end)..end)));
        position = end + 2 + delimiter.len();
    }
    Some(parts)
}

/// The first part of that name.
pub(crate) fn field<'a>(parts: &'a [Part], name: &str) -> Option<&'a Part> {
    parts.iter().find(|part| part.name == name)
}

fn part(bytes: &Bytes) -> Option<Part> {
    let head_end = find(bytes, b"\r\n\r\n", 0)?;
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let disposition = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"))?
        .1;
    let (_, parameters) = disposition.split_once(';')?;
    Some(Part {
        name: parameter(parameters, "name")?,
        file_name: parameter(parameters, "filename"),
        content: bytes.slice(head_end + 4..),
    })
}

/// A `key=value` or `key="value"` of a header's parameters.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case(wanted)
            .then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn find(haystack: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find(haystack.get(from..)?, needle).map(|place| from + place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_bytes() {
        let body = Bytes::from_static(
            b"preamble\r\n--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--x\r\n\
              content-disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\ncontent-type: audio/mpeg\r\n\r\n\x00\xff\r\n\r\n--x--\r\n",
        );
        let parts = parse("multipart/form-data; boundary=x", &body).expect("a form");
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].text(), "whisper-1");
        let file = field(&parts, "file").expect("the file");
        assert_eq!(file.file_name.as_deref(), Some("a.mp3"));
        assert_eq!(&file.content[..], b"\x00\xff\r\n");
    }

    #[test]
    fn other_bodies_are_no_form() {
        assert!(parse("application/json", &Bytes::from_static(b"{}")).is_none());
        assert!(parse("multipart/form-data; boundary=x", &Bytes::from_static(b"{}")).is_none());
    }
}
