//! Writes the parts of messages and of tools' answers.

use super::OWN;
use super::read_content::is_content;
use super::write_request::Scribe;
use crate::field::Field;
use crate::ir::{CacheMark, Citation, Content, Media, Part};
use crate::loss::Unsayable;
use crate::raw::Raw;
use crate::writer::{Object, raw_object};

/// Who says a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// Somebody who talks to the model.
    Input,
    /// The model.
    Output,
}

impl Scribe<'_> {
    /// Writes a part that stands in a message or in a tool's answer; `None` when nothing is left of it.
    pub(super) fn content(&mut self, part: &Part, voice: Voice) -> Result<Option<Raw>, Unsayable> {
        let written = match &part.content {
            Content::Text { text, citations } => Some(self.text(text, citations, part, voice)),
            Content::Refusal { text } if voice == Voice::Output => Some(raw_object(|it| {
                it.text("type", "refusal");
                it.text("refusal", text);
                self.extras(it, part);
            })),
            Content::Refusal { text } => Some(self.text(text, &[], part, voice)),
            Content::Image { source, detail } => self.image(source, detail.as_deref(), part)?,
            Content::Document { .. } => self.document(part)?,
            Content::Audio { .. } => self.audio(part, voice)?,
            Content::Video { .. } => {
                return Err(self.lost.refuse(Field::Video, "no films can be sent to this provider"));
            }
            Content::Foreign { protocol, kind, raw } if *protocol == OWN && self.own && is_content(kind) => {
                Some(raw.clone())
            }
            Content::Foreign { kind, .. } => {
                self.lost
                    .note_named(format!("content[{kind}]"), "not known to this protocol");
                None
            }
            Content::Reasoning { .. } | Content::ToolCall { .. } | Content::ToolResult { .. } => None,
        };
        Ok(written)
    }

    fn text(&mut self, text: &str, citations: &[Citation], part: &Part, voice: Voice) -> Raw {
        raw_object(|it| {
            let kind = match voice {
                Voice::Input => "input_text",
                Voice::Output => "output_text",
            };
            it.text("type", kind);
            it.text("text", text);
            if voice == Voice::Output {
                self.annotations(it, citations);
            }
            self.extras(it, part);
        })
    }

    /// Only what this protocol said is said again: places in texts that were cut otherwise would be wrong.
    fn annotations(&mut self, it: &mut Object<'_>, citations: &[Citation]) {
        let own = |citation: &Citation| match &citation.raw {
            Some((protocol, raw)) if *protocol == OWN => Some(raw.clone()),
            _ => None,
        };
        let annotations: Vec<Raw> = citations.iter().filter_map(own).collect();
        if annotations.len() < citations.len() {
            self.lost.note(Field::Citations, "not sent back to the model");
        }
        if !annotations.is_empty() {
            it.array("annotations", |it| {
                for annotation in &annotations {
                    it.raw(annotation);
                }
            });
        }
    }

    fn image(&mut self, source: &Media, detail: Option<&str>, part: &Part) -> Result<Option<Raw>, Unsayable> {
        let url = source.to_url("image/png");
        let file = self.file_of(source)?;
        if url.is_none() && file.is_none() {
            return Ok(None);
        }
        Ok(Some(raw_object(|it| {
            it.text("type", "input_image");
            it.some_text("image_url", url.as_deref());
            it.some_text("file_id", file.as_deref());
            it.some_text("detail", detail);
            self.extras(it, part);
        })))
    }

    fn document(&mut self, part: &Part) -> Result<Option<Raw>, Unsayable> {
        let Content::Document {
            source,
            title,
            context,
            citations,
        } = &part.content
        else {
            return Ok(None);
        };
        if *citations {
            self.lost.note(Field::Citations, "not supported for documents");
        }
        if let Media::Text { text, filename } = source {
            self.lost.note(Field::Document, "sent as text");
            let head = [title.as_deref().or(filename.as_deref()), context.as_deref(), Some(text)];
            let text: Vec<&str> = head.into_iter().flatten().collect();
            return Ok(Some(self.text(&text.join("\n\n"), &[], part, Voice::Input)));
        }
        if context.is_some() {
            self.lost.note(Field::DocumentTitle, "context of a document dropped");
        }
        let file = self.file_of(source)?;
        Ok(Some(raw_object(|it| {
            it.text("type", "input_file");
            match source {
                Media::Data { mime, data, filename } => {
                    let name = filename.as_deref().or(title.as_deref());
                    let mime = mime.as_deref().unwrap_or("application/pdf");
                    it.text("filename", &named(name, mime));
                    it.text("file_data", &format!("data:{mime};base64,{data}"));
                }
                Media::Url { url, .. } => {
                    it.text("file_url", url);
                    it.some_text("filename", title.as_deref().filter(|_| self.own));
                }
                _ => it.some_text("file_id", file.as_deref()),
            }
            self.extras(it, part);
        })))
    }

    /// Sound of the caller's is only known to be understood where the caller speaks this protocol too.
    fn audio(&mut self, part: &Part, voice: Voice) -> Result<Option<Raw>, Unsayable> {
        let Content::Audio {
            source,
            format,
            transcript,
            ..
        } = &part.content
        else {
            return Ok(None);
        };
        match (source, voice) {
            (_, Voice::Output) => {
                self.lost
                    .note(Field::AudioOutput, "sound of the model told by its words");
                Ok(transcript.as_ref().map(|text| self.text(text, &[], part, voice)))
            }
            (Media::Data { data, .. }, Voice::Input) if self.own => Ok(Some(raw_object(|it| {
                it.text("type", "input_audio");
                it.object("input_audio", |it| {
                    it.text("data", data);
                    it.some_text("format", format.as_deref());
                });
                self.extras(it, part);
            }))),
            _ => Err(self
                .lost
                .refuse(Field::AudioInput, "no sound can be sent to this provider")),
        }
    }

    fn file_of(&self, source: &Media) -> Result<Option<String>, Unsayable> {
        match source {
            Media::File { protocol, id } if protocol.dialect() == OWN.dialect() => Ok(Some(id.clone())),
            Media::File { .. } => Err(self.lost.refuse(
                Field::FileId,
                "the file is stored at another provider; send its content",
            )),
            _ => Ok(None),
        }
    }

    /// What stands beside the content of a part.
    fn extras(&mut self, it: &mut Object<'_>, part: &Part) {
        self.mark(it, part.cache.as_ref());
        let own = part
            .extra
            .0
            .iter()
            .filter(|(name, _)| !name.starts_with(super::read_input::ITEM_PREFIX));
        if self.own {
            own.for_each(|(name, value)| it.raw(name, value));
        } else {
            self.lost.note_extra("messages.content", &part.extra);
        }
    }

    fn mark(&mut self, it: &mut Object<'_>, cache: Option<&CacheMark>) {
        let Some(mark) = cache else {
            return;
        };
        if !self.breakpoints {
            return self.lost.note(Field::CacheMark, "not supported by the model");
        }
        if mark.ttl.is_some() {
            self.lost.note(Field::CacheMark, "lifetime dropped");
        }
        it.object("prompt_cache_breakpoint", |it| it.text("mode", "explicit"));
    }
}

/// A file's name with the ending that OpenAI tells its type by.
fn named(name: Option<&str>, mime: &str) -> String {
    let ending = match mime {
        "text/plain" => "txt",
        "text/markdown" => "md",
        "text/csv" => "csv",
        "text/html" => "html",
        "application/json" => "json",
        _ => "pdf",
    };
    match name {
        Some(name) if name.contains('.') => name.to_owned(),
        Some(name) if !name.is_empty() => format!("{name}.{ending}"),
        _ => format!("document.{ending}"),
    }
}
